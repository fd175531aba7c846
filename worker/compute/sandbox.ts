/** All that a thread needs to run modules, to be loaded together. */
export { executeModuleUnit, prepareModuleJob } from './execute-module.js'
export { prepareModule } from './prepare-module.js'

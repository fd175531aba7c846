// The command line must be executable when it is linked from `bin`.
import { chmodSync, existsSync } from 'node:fs'

const entry = new URL('../dist/cli/main.js', import.meta.url)
if (existsSync(entry)) chmodSync(entry, 0o755)

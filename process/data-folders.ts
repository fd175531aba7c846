import { join } from 'node:path'

/*
 * What lies where in a data directory. Its key and its lock are overlay/identity/data-directory.ts's; each function takes the path of
 * the directory.
 */

/** What the overlay remembers from start to start: {@link PEERS_FILE}. */
export const stateFolder = (dataFolder: string): string => join(dataFolder, 'state')
/** In {@link stateFolder}: the peers that answered last. */
export const PEERS_FILE = 'peers.json'
/** What this machine keeps for its clients: the list of its jobs, and what it has verified. */
export const clientFolder = (dataFolder: string): string => join(dataFolder, 'client')
/** The worker's journal and ledger. */
export const workerFolder = (dataFolder: string): string => join(dataFolder, 'worker')
/** What units of the worker read, kept for the next ones. */
export const inputsFolder = (dataFolder: string): string => join(dataFolder, 'inputs')
/** The owner's database of facts. */
export const factsFile = (dataFolder: string): string => join(dataFolder, 'owner.sqlite')
/** Inputs and outputs that a peer keeps for others. */
export const blobsFolder = (dataFolder: string): string => join(dataFolder, 'blobs')

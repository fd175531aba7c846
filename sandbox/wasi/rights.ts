/** Rights of preview 1 (`rights` in `wasi_snapshot_preview1.witx`); all 30 fit a JS integer. */
export const RIGHT = {
  fdDatasync: 1 << 0,
  fdRead: 1 << 1,
  fdSeek: 1 << 2,
  fdFdstatSetFlags: 1 << 3,
  fdSync: 1 << 4,
  fdTell: 1 << 5,
  fdWrite: 1 << 6,
  fdAdvise: 1 << 7,
  fdAllocate: 1 << 8,
  pathCreateDirectory: 1 << 9,
  pathCreateFile: 1 << 10,
  pathLinkSource: 1 << 11,
  pathLinkTarget: 1 << 12,
  pathOpen: 1 << 13,
  fdReaddir: 1 << 14,
  pathReadlink: 1 << 15,
  pathRenameSource: 1 << 16,
  pathRenameTarget: 1 << 17,
  pathFilestatGet: 1 << 18,
  pathFilestatSetSize: 1 << 19,
  pathFilestatSetTimes: 1 << 20,
  fdFilestatGet: 1 << 21,
  fdFilestatSetSize: 1 << 22,
  fdFilestatSetTimes: 1 << 23,
  pathSymlink: 1 << 24,
  pathRemoveDirectory: 1 << 25,
  pathUnlinkFile: 1 << 26,
  pollFdReadwrite: 1 << 27,
} as const

/** What a file can be asked for. */
export const FILE_RIGHTS =
  RIGHT.fdDatasync |
  RIGHT.fdRead |
  RIGHT.fdSeek |
  RIGHT.fdFdstatSetFlags |
  RIGHT.fdSync |
  RIGHT.fdTell |
  RIGHT.fdWrite |
  RIGHT.fdAdvise |
  RIGHT.fdAllocate |
  RIGHT.fdFilestatGet |
  RIGHT.fdFilestatSetSize |
  RIGHT.fdFilestatSetTimes |
  RIGHT.pollFdReadwrite

/** What a folder can be asked for: neither its bytes nor a position in them. */
export const FOLDER_RIGHTS =
  RIGHT.fdFdstatSetFlags |
  RIGHT.fdSync |
  RIGHT.fdAdvise |
  RIGHT.pathCreateDirectory |
  RIGHT.pathCreateFile |
  RIGHT.pathLinkSource |
  RIGHT.pathLinkTarget |
  RIGHT.pathOpen |
  RIGHT.fdReaddir |
  RIGHT.pathReadlink |
  RIGHT.pathRenameSource |
  RIGHT.pathRenameTarget |
  RIGHT.pathFilestatGet |
  RIGHT.pathFilestatSetSize |
  RIGHT.pathFilestatSetTimes |
  RIGHT.fdFilestatGet |
  RIGHT.fdFilestatSetTimes |
  RIGHT.pathSymlink |
  RIGHT.pathRemoveDirectory |
  RIGHT.pathUnlinkFile

/** What folders pass on to what is opened below them. */
export const INHERITED_RIGHTS = FILE_RIGHTS | FOLDER_RIGHTS

/** Of a standard stream: no seeking. */
export const STREAM_RIGHTS = RIGHT.fdFdstatSetFlags | RIGHT.fdFilestatGet | RIGHT.pollFdReadwrite

/** Rights that make no sense where nothing can be changed. */
export const CHANGING_RIGHTS =
  RIGHT.fdWrite |
  RIGHT.fdAllocate |
  RIGHT.fdFilestatSetSize |
  RIGHT.fdFilestatSetTimes |
  RIGHT.pathCreateDirectory |
  RIGHT.pathCreateFile |
  RIGHT.pathLinkTarget |
  RIGHT.pathRenameSource |
  RIGHT.pathRenameTarget |
  RIGHT.pathFilestatSetSize |
  RIGHT.pathFilestatSetTimes |
  RIGHT.pathSymlink |
  RIGHT.pathRemoveDirectory |
  RIGHT.pathUnlinkFile

/** Rights of the wire as an integer; bits that preview 1 does not know are dropped. */
export function rightsFrom(bits: bigint): number {
  return Number(BigInt.asUintN(30, bits))
}

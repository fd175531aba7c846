/** Files that the modules of this program and Node open at a time when it loads, with some to spare. */
const FILES_MIN = 256

/**
 * Why the program could not be loaded, if that is that this process may open too few files: the module loader calls what it
 * could not open missing. Undefined: for some other reason.
 */
export function tooFewFiles(): string | undefined {
  const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } }
  const soft = Number(report.userLimits?.open_files?.soft)
  if (!(soft < FILES_MIN)) return undefined
  return `error: this process may open ${soft} files at a time and needs ${FILES_MIN}\n  hint: raise the limit first: ulimit -n 1024\n`
}

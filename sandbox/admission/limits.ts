/**
 * Bounds of what is admitted. The engines have their own (those of the JavaScript embedding, which all browsers share, are
 * named `engine` below); ours are no larger, so that no engine refuses what another one runs, and small enough that nothing
 * in a module costs a worker more than its bytes suggest.
 */
export const LIMITS = {
  /** Bytes of a module as it is submitted. */
  moduleBytes: 64 * 2 ** 20,
  /** An admitted module is at most so many times the size of the submitted one... */
  growthFactor: 3,
  /** ... and so many bytes more, for small modules. Compiled C grows 1.3 to 1.5 times; only contrived code grows more. */
  growthBytes: 2 ** 20,
  /** Function types. Engine: 1,000,000. */
  types: 100_000,
  /** Parameters of one function type. Engine: 1,000. */
  params: 1_000,
  /** Results of one function type. Engine: 1,000. */
  results: 100,
  /** Imported functions; there are 46 to import, and linkers name each once. */
  imports: 1_000,
  /** Functions that the module defines. Engine: 1,000,000. */
  functions: 200_000,
  /** Tables. Engine: 100,000. */
  tables: 16,
  /** Elements of all tables together. Engine: 10,000,000 for each. */
  tableElements: 131_072,
  /** Element segments. Engine: 10,000,000. */
  elementSegments: 10_000,
  /** Entries of all element segments together. */
  segmentEntries: 1_000_000,
  /** Global variables. Engine: 1,000,000. */
  globals: 10_000,
  /** Exports. Engine: 1,000,000. */
  exports: 100_000,
  /** Bytes of a name of an import or export. Engine: 100,000. */
  nameBytes: 10_000,
  /** Data segments. Engine: 100,000. */
  dataSegments: 100_000,
  /** Bytes of one function as it is submitted. */
  bodyBytes: 4 * 2 ** 20,
  /** Bytes of one function as it is admitted: where engines stop. */
  admittedBodyBytes: 7_654_321,
  /** Locals of one function, its parameters included, after the run lengths are undone. Engine: 50,000. */
  locals: 10_000,
  /** Operands that one function has on the stack at once: with the locals it is the frame, which the depth limit counts. */
  operands: 10_000,
  /** Blocks inside one another. A `switch` of n cases nests n blocks. */
  nesting: 16_384,
  /** Targets of one `br_table`, the default not counted. Engine: 65,520. */
  branchTargets: 65_520,
  /**
   * Places where control joins or splits in one function, times its locals and operands: compilers that keep a state for
   * each slot at each such place need time and memory by this product, not by the bytes. Large interpreters have 10 million.
   */
  mergeWork: 2 ** 26,
} as const

/** Bytes that the admitted form of a module of `moduleBytes` may have. */
export function admittedBytesMax(moduleBytes: number): number {
  return LIMITS.growthFactor * moduleBytes + LIMITS.growthBytes
}

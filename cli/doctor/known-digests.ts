import { memoryContent } from '../../client/content/content.js'
import type { JobRequest } from '../../client/submit/job-builder.js'
import type { Digest } from '../../proto/model.js'
import { utf8 } from '../../runtime/hex.js'

/** A unit whose digest is the same on every machine. */
export interface KnownUnit {
  readonly task: string
  readonly request: JobRequest
  readonly digest: Digest
}

const builtin = (name: string) => ({ type: 'builtin', name, version: 1 }) as const

/**
 * One unit of each built-in task, tens of milliseconds each, with the digest that its task's definition (docs/tasks.md) gives. They
 * exercise what could differ between processors: 64-bit integers, multiplication of big integers, rounding, sorting.
 */
export const KNOWN_UNITS: readonly KnownUnit[] = [
  {
    task: 'primes',
    request: {
      task: builtin('primes'),
      source: { type: 'range', range: '10^12..10^12+10^6:10^6' },
      args: ['{start}', '{end}'],
    },
    digest: '6eaceb87590e4713e2ec04ae475a418f595b2a4bf69e3208fef5daf75016c925' as Digest,
  },
  {
    task: 'mersenne',
    request: { task: builtin('mersenne'), source: { type: 'array', array: '2203' }, args: ['{}'] },
    digest: '1ebbf791a14ea987a6866292e6d51363ea7d6058a3ce2e06d4a002456c669369' as Digest,
  },
  {
    task: 'mandelbrot',
    request: {
      task: builtin('mandelbrot'),
      source: { type: 'count', count: 1 },
      args: [
        '--width',
        '96',
        '--height',
        '72',
        '--x',
        '-0.7453',
        '--y',
        '0.1127',
        '--zoom',
        '400',
        '--iterations',
        '500',
      ],
    },
    digest: '407349f373728cefe2b989644eee264deae2ed2bfb0a57304a956b7d5cf8699e' as Digest,
  },
  {
    task: 'align',
    request: {
      task: builtin('align'),
      source: {
        type: 'records',
        content: memoryContent(utf8('>q\nMKVLAAGIVGLCAKRNDEQHFPSTWY\n')),
        sep: 'fasta',
      },
      inputs: [
        { name: 'db', content: memoryContent(utf8('>a\nMKILAAGLVGICAKNDEQHF\n>b\nGGGGG\n>c\nYWTSPFHQEDNRKAC\n')) },
      ],
    },
    digest: '2fa83848a0a130ca34d5aa51d751b6cc8f6129c31b65617731658c2c7f545d52' as Digest,
  },
]

import fc from 'fast-check'

const FIRST_SURROGATE = 0xd800
const SURROGATES = 0x800

/**
 * Text of any characters at all, halves of surrogate pairs apart: `fc.string({ unit: 'binary' })` without the table of a
 * million characters that it makes to shrink by, which takes a second.
 */
export function anyText(maxLength: number): fc.Arbitrary<string> {
  return fc
    .array(fc.nat({ max: 0x10ffff - SURROGATES }), { maxLength })
    .map((codes) =>
      codes.map((code) => String.fromCodePoint(code < FIRST_SURROGATE ? code : code + SURROGATES)).join(''),
    )
}

/** Longest text of a stranger that is shown or sent on. Unit: UTF-16 code units. */
export const PRINTABLE_CHARS_MAX = 512

/**
 * What a terminal would obey, draw over its neighbours or not draw at all: control characters and escapes (Cc), marks of
 * direction, joiners and other format characters (Cf), lone surrogates (Cs), line and paragraph separators, characters
 * without a width (Default_Ignorable_Code_Point, Unicode 5.21), and those whose shape is private or not assigned (Co, Cn).
 */
const HARMFUL = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu
/** Marks stacked upon one letter; more than this draw over the lines above, and no script needs them. */
const STACKED = /(\p{M}{4})\p{M}+/gu
const PLAIN = /^[\x20-\x7e]*$/

/**
 * `text` of a stranger as one line that is fit for a terminal and a header: at most `charsMax` UTF-16 units of it (1 or more),
 * ending in an ellipsis where it was cut, and a space for every character that could do harm. The cost does not depend on how
 * long `text` is.
 */
export function printable(text: string, charsMax: number = PRINTABLE_CHARS_MAX): string {
  const bounded = text.length > charsMax ? `${text.slice(0, charsMax - 1)}…` : text
  if (PLAIN.test(bounded)) return bounded
  return bounded.replace(HARMFUL, ' ').replace(STACKED, '$1')
}

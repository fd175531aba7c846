import { Option } from 'commander'

/** `secret-file` as commander names it: `secretFile`. */
export function camel(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** An option that may be repeated. */
export function repeatable(flags: string, help: string): Option {
  return new Option(flags, help).argParser((value: string, previous: readonly string[] | undefined) => [
    ...(previous ?? []),
    value,
  ])
}

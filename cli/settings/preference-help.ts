/** One line a preference, for the manual, `config` and `prefs`. In brackets stands what holds where nothing is said, as everywhere. */
export const preferenceHelp = {
  'cpu-time': 'share of the time in which the threads compute, such as 50% (100%)',
  hours: 'hours in which to compute, local time, such as 22:00-07:00',
  days: 'days on which to compute, such as mon-fri',
  'when-idle': 'compute only once nobody has used the machine for so long, such as 10m',
  'on-battery': 'compute on battery: yes, no, or the least charge, such as 80% (no)',
  'max-temp': 'compute nothing while the processor is hotter, in Celsius, such as 75',
  'pause-for': 'programs that have the machine for themselves, such as steam,blender',
  disk: 'most that modules and inputs kept for later may take (8GiB)',
  rate: 'most that inputs fetched and outputs sent take, each, a second, such as 1MiB',
  units: 'compute so many units, then end, such as 100',
  for: 'compute for so long, then end, such as 8h',
  accept: 'compute for these submitters alone: names or keys, such as alice,bob',
  refuse: 'never compute for these submitters: names or keys, such as mallory',
} as const

/** Values to begin from, for shells to offer. */
export const preferenceExamples: Readonly<Partial<Record<string, readonly string[]>>> = {
  'cpu-time': ['25%', '50%', '75%'],
  hours: ['22:00-07:00'],
  days: ['mon-fri', 'sat,sun'],
  'when-idle': ['10m'],
  'on-battery': ['yes', 'no', '80%'],
  'max-temp': ['75'],
  disk: ['8GiB'],
  rate: ['1MiB'],
}

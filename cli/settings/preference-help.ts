/** One line a preference, for the manual, `config` and `prefs`. The words in brackets are how it is written. */
export const preferenceHelp = {
  'cpu-time': 'share of the time in which the threads compute (50%)',
  hours: 'hours in which to compute, local time (22:00-07:00)',
  days: 'days on which to compute (mon-fri)',
  'when-idle': 'compute only once nobody has used the machine for so long (10m)',
  'on-battery': 'compute on battery: yes, no, or the least charge (80%)',
  'max-temp': 'compute nothing while the processor is hotter, in Celsius (75)',
  'pause-for': 'programs that have the machine for themselves (steam,blender)',
  disk: 'most that modules and inputs kept for later may take (8GiB)',
  rate: 'inputs fetched and outputs sent, each, a second (1MiB)',
  units: 'compute so many units, then end (100)',
  for: 'compute for so long, then end (8h)',
  accept: 'compute for these submitters alone: names or keys (alice,...)',
  refuse: 'never compute for these submitters: names or keys (mallory,...)',
} as const

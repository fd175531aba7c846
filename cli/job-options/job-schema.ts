import { z } from 'zod'
import { jobFileSchema } from './job-file.js'
import { JOB_OPTIONS } from './job-option-table.js'

/** Where the schema lies in the package, for editors: `#:schema ./node_modules/manyhands/job.schema.json`. */
export const JOB_SCHEMA_FILE = 'job.schema.json'

const OWN_HELP: Readonly<Record<string, string>> = {
  task: 'name of a task (manyhands tasks), or the file of a program compiled to wasm32-wasi',
  args: 'arguments of each unit, with placeholders: {i} {n} {start} {end} {line} ...',
}

/** JSON Schema (draft 2020-12) of a job file, made from what reads it. Says nothing of which options go together. */
export function jobSchema(): Readonly<Record<string, unknown>> {
  const { $schema, properties, ...rest } = z.toJSONSchema(jobFileSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // In JSON Schema an integer of any size is a number.
      if (zodSchema._zod.def.type === 'bigint') jsonSchema.type = 'number'
      if (Array.isArray(jsonSchema.type)) jsonSchema.type = [...new Set(jsonSchema.type)]
    },
  })
  const helps = new Map<string, string>([
    ...Object.entries(OWN_HELP),
    ...JOB_OPTIONS.map(({ name, help }) => [name, help] as const),
  ])
  return {
    $schema,
    title: 'A job of manyhands',
    description: 'What manyhands submit --from, run-local --from and map --from read, as TOML',
    ...rest,
    properties: Object.fromEntries(
      Object.entries(properties ?? {}).map(([name, schema]) => [
        name,
        { description: helps.get(name), ...(typeof schema === 'object' ? schema : {}) },
      ]),
    ),
  }
}

/** {@link jobSchema} as the file has it. */
export function jobSchemaText(): string {
  const text = JSON.stringify(jobSchema(), undefined, 2)
  // Short lists of words on one line, as the formatter of this repository has them.
  return `${text.replace(/\[\s+("[^"]*"(?:,\s+"[^"]*")*)\s+\]/g, (_, words: string) => `[${words.replace(/,\s+/g, ', ')}]`)}\n`
}

import type { z } from 'zod'
import { propertyOf } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { MAX_VALUE_BYTES } from '../json/json.ts'
import { type SharedDefinition, sharedDefinitions } from '../job/shared-value.ts'
import { anything, expecting, type OptionChecks, problemsText, readOptions, wholeNumber } from '../options.ts'
import { SharedSchema } from './shared-schema.ts'
import { Topic } from './topic.ts'

/**
 * The definition of a shared value.
 *
 * @typeParam S the type of the value's zod schema
 */
export interface SharedSpec<S extends z.ZodType> {
  /** The name of the value, which is the same on all nodes: 1 to 128 letters, digits or any of `_ - . : /`. */
  readonly topic: string
  /** Checks the value and gives it its type. The schema must be synchronous. The value is stored as JSON. */
  readonly schema: S
  /** The value that is used until another one is published. It has version 1. */
  readonly initial: z.input<S>
  /** How many versions stay stored, for the history and for rollbacks. Default 100, at most 1,000. */
  readonly keep?: number
}

const MAX_KEEP = 1_000
const TOPIC = /^[\w.:/-]{1,128}$/

const CHECKS: OptionChecks<SharedSpec<z.ZodType>> = {
  topic: expecting(
    '1 to 128 letters, digits or any of _ - . : /',
    (value) => typeof value === 'string' && TOPIC.test(value),
  ),
  schema: expecting('a zod schema', (value) => typeof propertyOf(value, 'safeParse') === 'function'),
  initial: anything,
  keep: wholeNumber(1, MAX_KEEP),
}
const EXAMPLE = "{ topic: 'rates', schema: z.object({ eur: z.number() }), initial: { eur: 1 } }"

/**
 * Defines a value that all nodes of an app share: it has versions, a schema and a history. `app.shared(definition)` and
 * `ctx.shared(definition)` return it.
 *
 * @throws PikoError `SHARED_INVALID` naming every problem
 * @example
 * const Rates = defineShared({ topic: 'rates', schema: z.object({ eur: z.number() }), initial: { eur: 1 } })
 * await app.shared(Rates).publish({ eur: 1.1 }, { reason: 'new contract' })
 */
export function defineShared<S extends z.ZodType>(spec: SharedSpec<S>): SharedDefinition<z.output<S>, z.input<S>> {
  const { options, problems } = readOptions<SharedSpec<z.ZodType>>(spec, CHECKS, EXAMPLE, [
    'topic',
    'schema',
    'initial',
  ])
  if (problems.length > 0) throw new PikoError('SHARED_INVALID', problemsText('defineShared', problems))
  const { topic, schema, initial, keep = 100 } = options as SharedSpec<z.ZodType>
  const checked = new SharedSchema<z.output<S>>(topic, schema)
  const text = checked.textOf(initial, MAX_VALUE_BYTES, `the initial value of "${topic}"`)
  const definition: SharedDefinition<z.output<S>, z.input<S>> = Object.freeze({
    topic,
    open: (reach) => new Topic<z.output<S>, z.input<S>>({ topic, schema: checked, initial: text, keep, reach }),
  } satisfies SharedDefinition<z.output<S>, z.input<S>>)
  sharedDefinitions.add(definition)
  return definition
}

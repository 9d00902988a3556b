import { describe, isObject, propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { JobContext } from '../../job/context.ts'
import type { ItemData } from '../../job/items/adding.ts'
import { isList } from '../../options.ts'
import { redactText } from '../../run/redact.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { Window } from '../../time/window.ts'
import { newItem, type NewItem } from '../request/ready-request.ts'
import { isTooLong, MAX_URL_LENGTH } from '../request/request-checks.ts'
import { addItems } from './add-items.ts'
import type { CrawlPlan } from './crawl-plan.ts'

const MAX_BATCH = 1_000
/** The maximum length of a URL in a log line, in characters. Its query is left out, because it may contain secrets. */
const SHOWN_CHARS = 100

/** The context of a crawl's seeds, with its type parameters erased. */
export type SeedContext = JobContext<ResourceMap, unknown, SinkMap, Window, unknown, ItemData>

/** The handler of a crawl's job. It only stores the seeds as items. The run ends later, when all its items have ended. */
export async function seed(plan: CrawlPlan, ctx: SeedContext): Promise<void> {
  let batch: NewItem[] = []
  let left = 0
  let first: string | undefined
  const store = async (): Promise<void> => {
    const items = batch
    batch = []
    await addItems(ctx.items, items, undefined)
  }
  for await (const given of await seedsOf(plan, ctx)) {
    const request = typeof given === 'string' || given instanceof URL ? { url: given } : given
    if (isTooLong(request)) {
      // Long lists of URLs often contain an invalid one by mistake. Such a URL must not stop the whole run.
      first ??= shown(propertyOf(request, 'url'))
      left += 1
      continue
    }
    batch.push(newItem(request, plan.rules, undefined))
    if (batch.length >= MAX_BATCH) await store()
  }
  if (batch.length > 0) await store()
  if (left > 0)
    ctx.log.warn({ first }, `${left} seeds have a URL of more than ${MAX_URL_LENGTH} characters and were left out`)
}

async function seedsOf(plan: CrawlPlan, ctx: SeedContext): Promise<Iterable<unknown> | AsyncIterable<unknown>> {
  const given: unknown = await plan.seeds(ctx)
  if (isIterable(given)) return given
  throw new PikoError(
    'USAGE',
    `the seeds of crawl "${plan.id}" are ${describe(given)}; expected a list of requests, or a generator: async function* (ctx) { yield { url } }`,
  )
}

function isIterable(value: unknown): value is Iterable<unknown> | AsyncIterable<unknown> {
  return (
    isList(value) ||
    (isObject(value) &&
      (typeof propertyOf(value, Symbol.asyncIterator) === 'function' ||
        typeof propertyOf(value, Symbol.iterator) === 'function'))
  )
}

function shown(url: unknown): string {
  return redactText(String(url).split(/[?#]/, 1)[0] ?? '').slice(0, SHOWN_CHARS)
}

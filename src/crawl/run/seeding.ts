import { counted } from '../../counted.ts'
import { describe, isObject, propertyOf } from '../../errors-read.ts'
import { isPikoError, PikoError } from '../../errors.ts'
import type { JobContext } from '../../job/context.ts'
import type { ItemData } from '../../job/items/adding.ts'
import { isList } from '../../options.ts'
import { redactText } from '../../run/redact.ts'
import { withoutRetry } from '../../run/retry-errors.ts'
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
  let number = 0
  const store = async (): Promise<void> => {
    const items = batch
    batch = []
    await addItems(ctx.items, items, undefined)
  }
  for await (const given of await seedsOf(plan, ctx)) {
    number += 1
    const request = typeof given === 'string' || given instanceof URL ? { url: given } : given
    if (isTooLong(request)) {
      // Long lists of URLs sometimes contain one that is too long. Such a URL must not stop the whole run.
      first ??= shown(propertyOf(request, 'url'))
      left += 1
      continue
    }
    batch.push(itemOf(request, plan, number))
    if (batch.length >= MAX_BATCH) await store()
  }
  if (batch.length > 0) await store()
  if (left > 0)
    ctx.log.warn({ first }, `left out ${counted(left, 'seed')} with a URL of more than ${MAX_URL_LENGTH} characters`)
}

/** @throws PikoError `USAGE` naming the seed; another attempt would only fail again */
function itemOf(request: unknown, plan: CrawlPlan, number: number): NewItem {
  try {
    return newItem(request, plan.rules, undefined)
  } catch (thrown) {
    throw isPikoError(thrown, 'USAGE')
      ? withoutRetry(new PikoError('USAGE', `seed ${number}: ${thrown.message}`, { cause: thrown }))
      : thrown
  }
}

async function seedsOf(plan: CrawlPlan, ctx: SeedContext): Promise<Iterable<unknown> | AsyncIterable<unknown>> {
  const given: unknown = await plan.seeds(ctx)
  if (isIterable(given)) return given
  throw withoutRetry(
    new PikoError(
      'USAGE',
      `the seeds of crawl "${plan.id}" are ${describe(given)}; expected a list of requests, or a generator: async function* (ctx) { yield { url } }`,
    ),
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

import type { Piko } from '../../app/piko.ts'
import { PikoError as ClientError } from '../../client/client-error.ts'
import type { Client } from '../../client/create-client.ts'
import { OPERATIONS } from '../../client/operations.ts'
import type { Operation } from '../../client/operation.ts'
import type { FollowOptions, RunNews } from '../../operations/runs/follow-run.ts'
import { ERROR_CODES, type ErrorCode, PikoError } from '../../errors.ts'

/** The names of positional arguments, in order, for calls whose names are not all in the path. One further object has named options. */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  'runs.cancel': ['ids'],
  'runs.replay': ['ids'],
  'jobs.why': ['jobId', 'tick'],
  'schedules.set': ['jobId', 'schedule'],
  'configs.set': ['jobId', 'config'],
  'configs.rollback': ['jobId', 'version'],
  'batches.create': ['jobId', 'items'],
  'shared.publish': ['topic', 'value'],
  'shared.rollback': ['topic', 'version'],
  'nodes.set': ['changes'],
  'crawls.try': ['crawl', 'request'],
}
/** Fields with values of users. A text in them is never converted to a date. */
const PAYLOADS = new Set([
  'config',
  'input',
  'output',
  'value',
  'fields',
  'details',
  'changes',
  'before',
  'after',
  'error',
])
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/
const DEFAULT_LIMIT = 100
const MAX_PAGE = 500

type Fields = Record<string, unknown>
type Caller = (input: Fields, options: object) => Promise<unknown>

/**
 * An app whose calls go to a node: `app.runs.show(17)` is the operation `runs.show`. Only what commands use works: the nouns, `run` and
 * `live.follow`.
 */
export function remoteApp(client: Client, reason?: string): Piko {
  const call = callerOf(client, reason)
  const noun = (name: string): unknown =>
    new Proxy(
      {},
      {
        get: (_target, verb) => {
          if (typeof verb !== 'string') return undefined
          if (name === 'live' && verb === 'follow') return (options?: object) => client.events(options)
          const id = `${name}.${verb}`
          if (id === 'runs.follow') return (runId: number, options?: FollowOptions) => followed(client, runId, options)
          // The app yields the entries of this list one by one.
          if (id === 'backfills.preview') return (...given: unknown[]) => yielded(() => call(id, given))
          return (...given: unknown[]) => call(id, given)
        },
      },
    )
  return new Proxy(
    {},
    {
      get: (_target, name) => {
        // The object has every property, but must not look like a promise.
        if (typeof name !== 'string' || name === 'then') return undefined
        if (name === 'run') return (jobId: string, options: Fields = {}) => call('runs.start', [jobId, options])
        if (name === 'doctor') return () => call('doctor.examine', [])
        return noun(name)
      },
    },
  ) as Piko
}

async function* followed(client: Client, runId: number, options: FollowOptions = {}): AsyncGenerator<RunNews> {
  const news = client.runs.follow({ runId, ...options })
  for (;;) {
    const { done, value } = await coreErrors(() => news.next())
    if (done) return
    yield revived(value) as RunNews
  }
}

async function* yielded(ask: () => Promise<unknown>): AsyncGenerator<unknown, void, undefined> {
  yield* (await ask()) as readonly unknown[]
}

function callerOf(
  client: Client,
  reason: string | undefined,
): (id: string, given: readonly unknown[]) => Promise<unknown> {
  const nouns = client as unknown as Readonly<Record<string, Readonly<Record<string, Caller>>>>
  const operations = OPERATIONS as Readonly<Record<string, Operation>>
  return async (id, given) => {
    const operation = operations[id]
    const [name = '', verb = ''] = id.split('.')
    const send = nouns[name]?.[verb]
    if (!operation || !send)
      throw new PikoError(
        'USAGE',
        `a node does not offer "${name} ${verb}" over HTTP; leave out --url to use the database`,
      )
    const input = inputOf(id, operation, given)
    const isChange = operation[0] !== 'GET'
    const options = isChange && reason !== undefined ? { reason } : {}
    const answer = await coreErrors(() => (id === 'live.page' ? send(input, options) : allPages(send, input, options)))
    return id === 'live.page' ? answer : revived(shaped(id, answer))
  }
}

/** Puts positional arguments into named fields. */
function inputOf(id: string, [, path]: Operation, given: readonly unknown[]): Fields {
  const names = ARGUMENTS[id] ?? [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '')
  const input: Fields = {}
  for (const [index, value] of given.entries()) {
    const name = names[index]
    const isOptions = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
    if (name === 'ids' && !isOptions) input['ids'] = Array.isArray(value) ? value : [value]
    else if (name !== undefined && name !== 'ids') input[name] = value
    else if (isOptions) Object.assign(input, value)
  }
  return input
}

/** The result of a call; for a list, its entries from as many pages as the limit requires. */
async function allPages(send: Caller, input: Fields, options: object): Promise<unknown> {
  const { limit } = input
  const wanted = typeof limit === 'number' ? limit : DEFAULT_LIMIT
  const first = await send({ ...input, ...(limit !== undefined && { limit: Math.min(wanted, MAX_PAGE) }) }, options)
  if (!isPage(first)) return first
  const items = [...first.items]
  for (let { next } = first; next !== undefined && items.length < wanted;) {
    const size = Math.min(wanted - items.length, MAX_PAGE)
    const page = await send({ ...input, limit: size, cursor: next }, options)
    if (!isPage(page)) break
    items.push(...page.items)
    ;({ next } = page)
  }
  return items.slice(0, wanted)
}

function isPage(answer: unknown): answer is { readonly items: readonly unknown[]; readonly next?: string } {
  return typeof answer === 'object' && answer !== null && 'items' in answer && Array.isArray(answer.items)
}

/** Converts an answer to the form that `app` returns, if the API has another form. */
function shaped(id: string, answer: unknown): unknown {
  if (id === 'jobs.list') return (answer as readonly Fields[]).map(jobRow)
  return id === 'jobs.show' ? jobRow(answer as Fields) : answer
}

function jobRow({ id, description, state, schedule, isOverridden, windows, nextTick }: Fields): Fields {
  const text = schedule === null || schedule === undefined ? null : JSON.stringify(schedule)
  return {
    ...{ id, description, nextTick, schedule: text, plannedSchedule: text, isPaused: state === 'paused' },
    codeSchedule: isOverridden === true ? null : text,
    windows: windows === null || windows === undefined ? null : JSON.stringify(windows),
  }
}

/** Turns texts that are instants into dates. */
function revived(value: unknown): unknown {
  if (typeof value === 'string') return INSTANT.test(value) ? new Date(value) : value
  if (Array.isArray(value)) return value.map(revived)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, PAYLOADS.has(name) ? (one as unknown) : revived(one)]),
  )
}

/** Turns errors of the client into those of the command line. */
export async function coreErrors<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    const { code, message, details, status } = error
    const known: ErrorCode =
      ERROR_CODES.find((one) => one === code) ?? (status === undefined ? 'HTTP_FAILED' : 'HTTP_STATUS')
    throw new PikoError(known, message, {
      cause: error,
      details: { ...details, ...(status !== undefined && { status }) },
    })
  }
}

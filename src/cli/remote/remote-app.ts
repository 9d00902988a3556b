import type { Piko } from '../../app/piko.ts'
import { PikoError as ClientError } from '../../client/client-error.ts'
import type { Client } from '../../client/create-client.ts'
import { OPERATIONS } from '../../client/operations.ts'
import type { Operation } from '../../client/operation.ts'
import type { BackfillRequest } from '../../operations/backfills/backfill-request.ts'
import type { FollowOptions, RunNews } from '../../operations/runs/follow-run.ts'
import type { Window } from '../../time/window.ts'
import { cursorOf, placeOf } from '../../api/cursor.ts'
import { ERROR_CODES, type ErrorCode, isPikoError, PikoError } from '../../errors.ts'
import { ARGUMENTS, type ListForm, LISTS, NOTHING_STORED, OF_ONE_RUN, ONLY_FIELD, WHOLE } from './remote-forms.ts'
import { waited, WAITS } from './remote-waits.ts'

/** Fields that contain the user's own values. Strings in them are never converted to dates. */
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
 * Returns an app whose calls go to a node: `app.runs.show(17)` sends the operation `runs.show`. It supports only what commands use: the
 * nouns, `run`, `doctor` and `storeLocation`.
 */
export function remoteApp(
  client: Client,
  { url, reason }: { readonly url: string; readonly reason?: string | undefined },
): Piko {
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
          const shows = WAITS[id]
          if (shows !== undefined) return (work: number, options?: object) => waited(() => call(shows, [work]), options)
          if (id === 'backfills.preview')
            return (jobId: string, request: BackfillRequest) => previewed((part) => call(id, [jobId, part]), request)
          return (...given: unknown[]) => call(id, given)
        },
      },
    )
  return new Proxy(
    {},
    {
      get: (_target, name) => {
        // This proxy object accepts every property name. But with a function `then` it would look like a promise.
        if (typeof name !== 'string' || name === 'then') return undefined
        if (name === 'storeLocation') return url
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

/**
 * Yields the windows that a backfill would run. Sends as many requests as necessary, because each answer contains only a part of a long
 * range.
 */
async function* previewed(
  ask: (request: BackfillRequest & { readonly limit: number }) => Promise<unknown>,
  request: BackfillRequest,
): AsyncGenerator<Window, void, undefined> {
  for (let left = request; ;) {
    const part = (await ask({ ...left, limit: MAX_PAGE })) as {
      readonly items: readonly Window[]
      readonly isWhole: boolean
    }
    yield* part.items
    const last = part.items.at(-1)
    if (part.isWhole || !last) return
    left = request.order === 'newest' ? { ...request, to: last.start } : { ...request, from: last.end }
  }
}

function callerOf(
  client: Client,
  reason: string | undefined,
): (id: string, given: readonly unknown[]) => Promise<unknown> {
  const nouns = client as unknown as Readonly<Record<string, Readonly<Record<string, Caller>>>>
  const operations = OPERATIONS as Readonly<Record<string, Operation>>
  return async (asked, given) => {
    const id = typeof given[0] === 'number' ? (OF_ONE_RUN[asked] ?? asked) : asked
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
    const list = LISTS[id]
    try {
      const answer = await coreErrors(() =>
        list ? allPages(list, (page) => send(page, options), input) : send(input, options),
      )
      return id === 'live.page' ? answer : revived(shaped(id, answer))
    } catch (error) {
      if (isPikoError(error) && error.code === NOTHING_STORED[id]) return undefined
      throw error
    }
  }
}

/** Converts the positional arguments of a call to named fields. */
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

interface Page extends Fields {
  readonly items: readonly unknown[]
  readonly next?: string
}

/** Reads as many pages of a list as the limit requires, and returns the entries in the app's form. */
async function allPages(
  { begin, name, limit: most = DEFAULT_LIMIT }: ListForm,
  send: (input: Fields) => Promise<unknown>,
  { limit = most, ...input }: Fields,
): Promise<unknown> {
  const wanted = Number(limit)
  const filter: Fields = { ...input }
  let cursor: string | undefined
  if (begin && filter[begin[0]] !== undefined) {
    cursor = cursorOf({ [begin[1]]: filter[begin[0]] as string | number })
    Reflect.deleteProperty(filter, begin[0])
  }
  const items: unknown[] = []
  for (;;) {
    const size = Math.max(1, Math.min(wanted - items.length, MAX_PAGE))
    const page = (await send({ ...filter, limit: size, ...(cursor !== undefined && { cursor }) })) as Page
    items.push(...page.items)
    cursor = page.next
    if (cursor !== undefined && items.length < wanted) continue
    if (name === undefined) return items.slice(0, wanted)
    const { items: _items, next: _next, ...rest } = page
    return { ...rest, [name]: items, next: cursor === undefined ? undefined : placeIn(cursor, begin?.[1] ?? 'id') }
  }
}

function placeIn(cursor: string, place: 'id' | 'name'): string | number | undefined {
  return place === 'id' ? placeOf(cursor, { id: 'number' })?.id : placeOf(cursor, { name: 'string' })?.name
}

/** Converts an answer to the form that `app` returns, if the API's form is different. */
function shaped(id: string, answer: unknown): unknown {
  const only = ONLY_FIELD[id]
  if (only !== undefined) return (answer as Fields)[only]
  if (WHOLE.has(id)) return (answer as Page).items
  switch (id) {
    case 'jobs.list':
      return (answer as readonly Fields[]).map(jobRow)
    case 'jobs.show':
      return jobRow(answer as Fields)
    case 'configs.show':
      return (answer as Fields)['version'] === 0 ? undefined : answer
    default:
      return answer
  }
}

function jobRow({ id, description, state, schedule, isOverridden, windows, nextTick, dependsOn }: Fields): Fields {
  const text = schedule === null || schedule === undefined ? null : JSON.stringify(schedule)
  return {
    ...{ id, description, nextTick, schedule: text, plannedSchedule: text, isPaused: state === 'paused' },
    codeSchedule: isOverridden === true ? null : text,
    windows: windows === null || windows === undefined ? null : JSON.stringify(windows),
    dependsOn,
  }
}

/** Converts strings that are instants to dates. */
function revived(value: unknown): unknown {
  if (typeof value === 'string') return INSTANT.test(value) ? new Date(value) : value
  if (Array.isArray(value)) return value.map(revived)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, PAYLOADS.has(name) ? (one as unknown) : revived(one)]),
  )
}

/** Converts errors of the client to errors of the command line. */
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

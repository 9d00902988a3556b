/** How a list of the API becomes the list of an app. */
export interface ListForm {
  /** The option of the app that begins after a place in the list, and what that place is. Default: the app has no such option. */
  readonly begin?: readonly [option: 'before' | 'after', place: 'id' | 'name']
  /** The name of the list in the app's answer, beside `next`. Default: the answer is the list alone. */
  readonly name?: string
  /** The entries without a limit of the caller. Default 100. */
  readonly limit?: number
}

const BEFORE: ListForm = { begin: ['before', 'id'] }
const AFTER: ListForm = { begin: ['after', 'id'] }
const BY_NAME: ListForm = { begin: ['after', 'name'] }
const ALL = Infinity

/** The lists that the API answers in pages. */
export const LISTS: Readonly<Record<string, ListForm>> = {
  'jobs.list': { limit: ALL },
  'jobs.overview': { begin: ['after', 'name'], name: 'jobs' },
  'schedules.list': { begin: ['after', 'name'], limit: ALL },
  'configs.history': BEFORE,
  'runs.list': BEFORE,
  'runs.logs': AFTER,
  'windows.list': {},
  'windows.coverage': {},
  'windows.grid': { begin: ['after', 'name'], name: 'rows', limit: 50 },
  'backfills.list': BEFORE,
  'batches.list': BEFORE,
  'items.list': { begin: ['after', 'id'], name: 'items' },
  'items.lanes': AFTER,
  'crawls.items': { begin: ['after', 'id'], name: 'pages' },
  'crawls.dead': { begin: ['after', 'id'], name: 'pages' },
  'crawls.lanes': AFTER,
  'limits.list': BY_NAME,
  'locks.list': BY_NAME,
  'sinks.dead': AFTER,
  'notify.list': BEFORE,
  'shared.list': BY_NAME,
  'shared.history': { begin: ['before', 'id'], limit: 20 },
  'cache.list': BY_NAME,
  'tokens.list': AFTER,
  'audit.list': BEFORE,
}

/** Lists that the API answers whole. */
export const WHOLE: ReadonlySet<string> = new Set([
  'nodes.list',
  'resources.list',
  'sinks.list',
  'notify.alerts',
  'notify.test',
])

/** The names of positional arguments, in order, for calls whose names are not all in the path. One further object has named options. */
export const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  'runs.cancel': ['ids'],
  'runs.replay': ['ids'],
  'jobs.why': ['jobId', 'tick'],
  'schedules.set': ['jobId', 'schedule'],
  'configs.history': ['jobId', 'limit'],
  'configs.set': ['jobId', 'config'],
  'configs.rollback': ['jobId', 'version'],
  'batches.create': ['jobId', 'items'],
  'shared.publish': ['topic', 'value'],
  'shared.rollback': ['topic', 'version'],
  'nodes.set': ['changes'],
}

/** Calls that are another operation of the API if their argument is the number of one run. */
export const OF_ONE_RUN: Readonly<Record<string, string>> = {
  'runs.cancel': 'runs.cancelOne',
  'runs.replay': 'runs.replayOne',
}

/** The field of the answer that the app returns alone. */
export const ONLY_FIELD: Readonly<Record<string, string>> = {
  'runs.prune': 'deleted',
  'limits.reset': 'wasCounted',
  'sinks.drop': 'deleted',
  'shared.publish': 'version',
  'shared.rollback': 'version',
  'cache.clear': 'deleted',
}

/** The code with which the API answers a request for what is not stored, where the app returns undefined. */
export const NOTHING_STORED: Readonly<Record<string, string>> = { 'shared.show': 'SHARED_UNKNOWN' }

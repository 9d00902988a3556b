/** How to convert a list of the API to the same list of the app. */
export interface ListForm {
  /** The app's option for where the list begins, and what its value means. Default: the app has no such option. */
  readonly begin?: readonly [option: 'before' | 'after', place: 'id' | 'name']
  /** The property of the app's answer that contains the list, next to `next`. Default: the answer is the list itself. */
  readonly name?: string
  /** How many entries to read if the caller sets no limit. Default 100. */
  readonly limit?: number
}

const BEFORE: ListForm = { begin: ['before', 'id'] }
const AFTER: ListForm = { begin: ['after', 'id'] }
const BY_NAME: ListForm = { begin: ['after', 'name'] }
const ALL = Infinity

/** The lists that the API returns in pages. */
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

/** The lists that the API returns as a whole. */
export const WHOLE: ReadonlySet<string> = new Set([
  'nodes.list',
  'resources.list',
  'services.list',
  'services.restart',
  'sinks.list',
  'notify.alerts',
  'notify.test',
])

/**
 * The names of the positional arguments, in order, for calls whose path does not contain all of them. An object after them contains named
 * options.
 */
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

/** Calls that use another operation of the API if their argument is the number of a single run. */
export const OF_ONE_RUN: Readonly<Record<string, string>> = {
  'runs.cancel': 'runs.cancelOne',
  'runs.replay': 'runs.replayOne',
}

/** The field of the API's answer that the app returns without the others. */
export const ONLY_FIELD: Readonly<Record<string, string>> = {
  'runs.prune': 'deleted',
  'limits.reset': 'wasCounted',
  'sinks.drop': 'deleted',
  'shared.publish': 'version',
  'shared.rollback': 'version',
  'cache.clear': 'deleted',
}

/** The error code that the API returns if nothing is stored. The app returns undefined in this case. */
export const NOTHING_STORED: Readonly<Record<string, string>> = { 'shared.show': 'SHARED_UNKNOWN' }

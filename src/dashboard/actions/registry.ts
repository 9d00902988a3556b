import type { Item } from '../shared/api.ts'
import { part } from '../shared/api.ts'
import type { Editable } from '../shared/reveal.ts'
import { go } from '../shared/router.ts'
import { whyNot } from '../shared/session.ts'
import { type Action, ask } from './action.tsx'
import { BACKFILL_CHANGES, changeBackfill, offFor } from './of-backfills.ts'
import {
  drainNode,
  dropDead,
  type Limit,
  type Node,
  replayDead,
  resetLimit,
  restartService,
  resumeNode,
  revokeToken,
  type Service,
  type Sink,
  type Token,
} from './of-fleet.ts'
import { clearSchedule, pauseJob, resumeJob, startRun } from './of-jobs.ts'
import { cancelRun, cancelRuns, replayRun, replayRuns } from './of-runs.tsx'
import { createBackfill, markStale, type Range, rerunWindows } from './of-windows.ts'

export type JobSubject = Pick<Item<'jobs.list'>, 'id' | 'state' | 'windows' | 'isOverridden'>

/** What an action can change, by kind. The palette finds them in the typed text. */
export interface Subjects {
  /** For changes that concern many runs, or none of the subjects below. */
  readonly none: undefined
  readonly job: JobSubject
  /** The windows of a typed day. */
  readonly windows: Range
  /** The number of a run. */
  readonly run: number
  readonly backfill: Item<'backfills.list'>
  readonly node: Node
  readonly service: Service
  readonly limit: Limit
  readonly sink: Sink
  readonly token: Token
}

export type Kind = keyof Subjects

/** One line of the command palette. */
export interface Entry {
  readonly name: string
  /** Why the line can't be selected; undefined if it can. */
  readonly off?: string | undefined
  readonly open: () => void
}

/** What the palette has found. */
export type Found = { readonly [K in Kind]: readonly Subjects[K][] }

/** A change in the palette. */
export interface Offer {
  readonly of: Kind
  /** The name to show while there is nothing to which the change can be applied. */
  readonly name: string
  /** What is missing while there is nothing to which the change can be applied. */
  readonly missing: string
  readonly entries: (found: Found) => readonly Entry[]
}

const NO_JOB = 'no job matches: type a part of its id too'
const NO_DAY = 'type a day too, such as 2026-01-31, and a part of the id of a job with windows'
const NO_RUN = 'type the number of a run too'
const NO_BACKFILL = 'no backfill is in progress or paused'

/** An entry that opens the dialog of an action. */
function dialog(action: Action, off?: string): Entry {
  return { name: action.title, off: whyNot(action.request) ?? off, open: () => ask(action) }
}

/** An entry that opens a form of a page, for a change that needs more input than its subject. */
function form(name: string, target: string, edit: Editable | undefined, path = '/jobs'): Entry {
  return { name, off: whyNot({ path }), open: () => go(edit === undefined ? target : `${target}?edit=${edit}`) }
}

function offerOf<K extends Kind>(
  of: K,
  name: string,
  missing: string,
  entries: (subject: Subjects[K]) => readonly Entry[],
): Offer {
  return { of, name, missing, entries: (found) => found[of].flatMap((subject) => entries(subject)) }
}

function onJob(name: string, entry: (job: JobSubject) => Entry | undefined): Offer {
  return offerOf('job', name, NO_JOB, (job) => [entry(job) ?? []].flat())
}

/**
 * All changes that the dashboard can make, by the id of their operation in the API. The palette offers each of them. A test compares this
 * table with the requests in the code of the pages and with the operations of the API.
 */
export const OFFERS: Readonly<Record<string, Offer>> = {
  'jobs.pause': onJob('Pause a job', ({ id, state }) => (state === 'paused' ? undefined : dialog(pauseJob(id)))),
  'jobs.resume': onJob('Resume a job', ({ id, state }) => (state === 'paused' ? dialog(resumeJob(id)) : undefined)),
  'runs.start': offerOf('job', 'Run a job', NO_JOB, ({ id, windows }) => [
    ...(windows === null ? [dialog(startRun(id))] : []),
    form(`Run ${id} with an input`, `/jobs/${part(id)}`, 'run'),
  ]),
  'schedules.set': onJob('Override a schedule', ({ id }) =>
    form(`Override the schedule of ${id}`, `/jobs/${part(id)}`, 'schedule'),
  ),
  'schedules.clear': onJob('Clear the override of a schedule', ({ id, isOverridden }) =>
    dialog(clearSchedule(id), isOverridden ? undefined : 'the schedule of the code is in force'),
  ),
  'configs.set': onJob('Edit the config of a job', ({ id }) =>
    form(`Edit the config of ${id}`, `/jobs/${part(id)}`, 'config'),
  ),
  'configs.rollback': onJob('Roll back the config of a job', ({ id }) =>
    form(`Roll back the config of ${id}`, `/jobs/${part(id)}`, 'versions'),
  ),
  'backfills.create': offerOf('job', 'Backfill a job', NO_JOB, ({ id, windows }) =>
    windows === null ? [] : [form(`Backfill ${id}`, `/backfills?jobId=${part(id)}`, undefined)],
  ),
  'windows.rerun': offerOf('windows', 'Run windows again', NO_DAY, (range) => [
    dialog(createBackfill(range, `Backfill ${range.jobId} on ${range.from}`)),
    dialog(rerunWindows(range, 'failed', `Run failed windows of ${range.jobId} on ${range.from} again`)),
    dialog(rerunWindows(range, 'all', `Run all windows of ${range.jobId} on ${range.from} again`)),
  ]),
  'windows.stale': offerOf('windows', 'Mark windows stale', NO_DAY, (range) => [
    dialog(markStale(range, `Mark windows of ${range.jobId} on ${range.from} stale`)),
  ]),
  'runs.cancelOne': offerOf('run', 'Cancel a run', NO_RUN, (run) => [dialog(cancelRun(run))]),
  'runs.replayOne': offerOf('run', 'Replay a run', NO_RUN, (run) => [
    dialog(replayRun(run)),
    form(`Run ${run} again with other input`, `/runs/${run}`, 'again'),
  ]),
  'runs.cancel': offerOf('none', 'Cancel all runs', '', () => [
    dialog(cancelRuns({ state: 'queued' }, 'Cancel all queued runs')),
    dialog(cancelRuns({ state: 'running' }, 'Cancel all running runs')),
  ]),
  'runs.replay': offerOf('none', 'Replay all runs', '', () => [
    dialog(replayRuns({ state: 'failed' }, 'Replay all failed runs')),
    dialog(replayRuns({ state: 'cancelled' }, 'Replay all cancelled runs')),
  ]),
  ...Object.fromEntries(
    BACKFILL_CHANGES.map((change) => {
      const name = `${change[0]?.toUpperCase()}${change.slice(1)} a backfill`
      const entries = (one: Subjects['backfill']): Entry[] => [
        dialog(changeBackfill(one.id, change), offFor(change, one.state)),
      ]
      return [`backfills.${change}`, offerOf('backfill', name, NO_BACKFILL, entries)]
    }),
  ),
  'nodes.drain': offerOf('node', 'Drain a node', 'no live node can be drained', (node) =>
    node.isDraining ? [] : [dialog(drainNode(node))],
  ),
  'nodes.resume': offerOf('node', 'Resume a node', 'no node is draining', (node) =>
    node.isDraining ? [dialog(resumeNode(node.id, `${node.host} (${node.pid})`))] : [],
  ),
  'services.restart': offerOf('service', 'Restart a service', 'the node that answers has none to restart', (service) =>
    service.canRestart ? [dialog(restartService(service, undefined))] : [],
  ),
  'limits.reset': offerOf('limit', 'Reset a limit', 'no shared limit is in use', (limit) => [
    dialog(resetLimit(limit)),
  ]),
  'sinks.replay': offerOf('sink', 'Deliver refused rows again', 'no sink has refused rows', (sink) => [
    dialog(replayDead(sink)),
  ]),
  'sinks.drop': offerOf('sink', 'Delete refused rows', 'no sink has refused rows', (sink) => [dialog(dropDead(sink))]),
  'tokens.create': offerOf('none', 'Create a token', '', () => [form('Create a token', '/tokens', 'token', '/tokens')]),
  'tokens.revoke': offerOf('token', 'Revoke a token', 'no token is valid, or your role may not list them', (token) =>
    token.isValid ? [dialog(revokeToken(token))] : [],
  ),
}

/** Returns the palette's entries for all changes of what was found. Selecting one opens a dialog or a page. */
export function changeEntries(found: Found): Entry[] {
  return Object.values(OFFERS).flatMap(({ name, missing, entries }) => {
    const made = entries(found)
    return made.length > 0 ? made : [{ name, off: missing, open: () => {} }]
  })
}

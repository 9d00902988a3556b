import { changeEntries, type Entry, type Found, type JobSubject, OFFERS } from '../actions/registry.ts'
import { get, limitedTo, part } from '../shared/api.ts'
import { dayAfter } from '../shared/days.ts'
import { isHeld } from '../shared/live.ts'
import { go } from '../shared/router.ts'
import { logOut, role, session } from '../shared/session.ts'
import { chooseZone, theme, THEMES, ZONES } from '../shared/settings.ts'

export type Fleet = Omit<Found, 'none' | 'job' | 'windows' | 'run'>

export const NO_FLEET: Fleet = { backfill: [], node: [], service: [], limit: [], sink: [], token: [] }

const PAGES: readonly (readonly [name: string, target: string])[] = [
  ['Overview', '/'],
  ['Grid of windows', '/grid'],
  ['Timeline of runs', '/timeline'],
  ['Runs', '/runs'],
  ['Failed runs', '/runs?state=failed'],
  ['Running runs', '/runs?state=running'],
  ['Backfills: new, pause, resume, cancel', '/backfills'],
  ['Why not?', '/why'],
  ['Nodes: drain, resume; services: restart; locks, resources, sinks', '/nodes'],
  ['Audit of changes', '/audit'],
  ['Tokens: new, revoke', '/tokens'],
]
const ZONE_NAMES = { utc: 'UTC', job: "the job's zone", browser: 'my zone' } as const
const DATE = /\b\d{4}-\d{2}-\d{2}\b/
const NUMBER = /^\d{1,15}$/
/** Words of the palette's own lines. They are not searched for in job ids, unless no other word is typed. */
const OWN_WORDS = new Set(
  [
    ...Object.values(OFFERS).flatMap(({ name }) => name.split(/\W+/)),
    ...['run', 'failed', 'why', 'window', 'calendar', 'now', 'on', 'with', 'input', 'other', 'edit', 'of', 'the'],
    ...['queued', 'running', 'cancelled', 'matching', 'override', 'job'],
  ].map((word) => word.toLowerCase()),
)
const MAX_JOBS = 12
const MAX_ALLOWED = 50
const MAX_BACKFILLS = 20

/** Loads the jobs that match a string. A string that consists only of the palette's own words, such as `run`, may also be part of an id. */
export async function findJobs(text: string, signal: AbortSignal): Promise<readonly JobSubject[]> {
  const limits = limitedTo.peek()
  if (limits) return allowed(limits, signal)
  const words = wordsOf(text.replace(DATE, '')).filter((word) => !NUMBER.test(word))
  const own = words.filter((word) => !OWN_WORDS.has(word))
  const searches = own.length > 0 ? [longest(own)] : words.length > 0 ? [longest(words), ''] : ['']
  const pages = await Promise.all(
    searches.map((search) => get<'jobs.list'>('/jobs', { search, limit: MAX_JOBS }, signal)),
  )
  return [...new Map(pages.flatMap(({ items }) => items.map((job) => [job.id, job] as const))).values()]
}

/** Loads the jobs that a limited token names exactly. Jobs that it allows with a wildcard can't be listed. */
async function allowed(globs: readonly string[], signal: AbortSignal): Promise<readonly JobSubject[]> {
  const ids = globs.filter((glob) => !/[*?]/.test(glob)).slice(0, MAX_ALLOWED)
  if (ids.length === 0) return []
  return (await get<'jobs.list'>('/jobs', { jobIds: ids.join(','), limit: ids.length }, signal)).items
}

/** Loads everything that an action can change, except jobs, windows and runs. */
export async function findFleet(signal: AbortSignal): Promise<Fleet> {
  // A limited token may not see these.
  if (limitedTo.peek()) return NO_FLEET
  const open = { limit: MAX_BACKFILLS }
  const [running, paused, nodes, services, limits, sinks, tokens] = await Promise.all([
    get<'backfills.list'>('/backfills', { ...open, state: 'running' }, signal),
    get<'backfills.list'>('/backfills', { ...open, state: 'paused' }, signal),
    get<'nodes.list'>('/nodes', {}, signal),
    get<'services.tree'>('/services', {}, signal),
    get<'limits.list'>('/limits', {}, signal),
    get<'sinks.list'>('/sinks', {}, signal),
    role.peek() === 'admin' ? get<'tokens.list'>('/tokens', {}, signal) : { items: [] },
  ])
  return {
    backfill: [...running.items, ...paused.items],
    node: nodes.items.filter(({ isLive }) => isLive),
    service: services.nodes,
    limit: limits.items,
    sink: sinks.items.filter(({ deadRows }) => deadRows > 0),
    token: tokens.items,
  }
}

/** Returns the entries that match a string: a run by its number, the windows of a day, pages, jobs and every action. */
export function entriesFor(text: string, jobs: readonly JobSubject[], fleet: Fleet): Entry[] {
  if (text === '') return [...PAGES.map(([name, target]) => page(name, target)), ...jobs.map(jobPage)]
  const day = dayIn(text)
  const words = wordsOf(text)
  const run = words.filter((word) => NUMBER.test(word)).map(Number)
  const withWindows = day === undefined ? [] : jobs.filter(({ windows }) => windows !== null)
  const windows = withWindows.map(({ id }) => ({ jobId: id, from: day ?? '', to: dayAfter(day ?? '') }))
  const all = [
    ...run.flatMap((id) => [page(`Run ${id}`, `/runs/${id}`), page(`Backfill ${id}`, `/backfills/${id}`)]),
    ...PAGES.map(([name, target]) => page(name, target)),
    ...windows.flatMap(({ jobId, from }) => dayEntries(jobId, from)),
    ...jobs.flatMap(jobEntries),
    ...changeEntries({ ...fleet, none: [undefined], job: jobs, windows, run }),
    ...choices(),
    ...(day === undefined ? [] : [page(`Grid until ${day}`, `/grid?to=${day}T00:00:00.000Z`)]),
  ]
  return all.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)))
}

/** Returns the day in a text, if there is such a day. */
function dayIn(text: string): string | undefined {
  const [day] = DATE.exec(text) ?? []
  return day === undefined || Number.isNaN(Date.parse(day)) ? undefined : day
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().split(/\s+/).filter(Boolean)
}

function longest(words: readonly string[]): string {
  return words.reduce((best, word) => (word.length > best.length ? word : best), '')
}

function page(name: string, target: string): Entry {
  return { name, open: () => go(target) }
}

function jobPage({ id }: JobSubject): Entry {
  return page(`Job ${id}`, `/jobs/${part(id)}`)
}

function dayEntries(jobId: string, day: string): Entry[] {
  return [
    page(`Windows of ${jobId} on ${day}`, `/jobs/${part(jobId)}?year=${day.slice(0, 4)}&day=${day}`),
    page(`Why ${jobId} on ${day}`, `/why/${part(jobId)}?at=${day}`),
  ]
}

function jobEntries(job: JobSubject): Entry[] {
  return [
    jobPage(job),
    page(`Failed runs of ${job.id}`, `/runs?jobId=${part(job.id)}&state=failed`),
    page(`Why ${job.id}`, `/why/${part(job.id)}`),
  ]
}

function choices(): Entry[] {
  return [
    ...ZONES.map((zone) => ({ name: `Times in ${ZONE_NAMES[zone]}`, open: () => chooseZone(zone) })),
    ...THEMES.map((one) => ({ name: `Colours: ${one}`, open: () => void (theme.value = one) })),
    {
      name: isHeld.value ? 'Continue to update' : 'Hold this view as it is',
      open: () => void (isHeld.value = !isHeld.value),
    },
    ...(session.value?.kind === 'session' ? [{ name: 'Log out', open: () => void logOut() }] : []),
  ]
}

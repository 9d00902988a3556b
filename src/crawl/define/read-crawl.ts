import { describe, isObject, propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { LaneSpec } from '../../item/lane.ts'
import type { DedupScope } from '../../job/items/adding.ts'
import { JOB_OPTIONS } from '../../job/read-spec.ts'
import {
  anything,
  isList,
  type OptionCheck,
  placed,
  problemOf,
  problemsText,
  readOptions,
  readProperty,
  unknownOptions,
} from '../../options.ts'
import { linkFilter } from '../link/link-filter.ts'
import type { StepPlan } from '../run/crawl-plan.ts'
import { CRAWL_CHECKS, hostKey, STEP_CHECKS } from './crawl-checks.ts'
import type { CrawlOptions, StepSpec } from './crawl-spec.ts'

/** A crawl's spec after reading: the crawl's own options, and the options of its job. */
export interface ReadCrawl {
  readonly id: string
  readonly seeds: (ctx: unknown) => unknown
  readonly options: Partial<CrawlOptions>
  readonly steps: ReadonlyMap<string, StepPlan>
  /** The job's options; this file does not check them. */
  readonly job: Readonly<Record<string, unknown>>
  readonly problems: readonly string[]
}

/** Options of a job that a crawl does not have, or that have another meaning in a crawl. */
const NO_JOB_OPTIONS = ['items', 'input', 'output', 'retry', 'tolerate', 'limits']
const KNOWN: readonly string[] = [
  ...JOB_OPTIONS.filter((name) => !NO_JOB_OPTIONS.includes(name)),
  'seeds',
  'steps',
  ...Object.keys(CRAWL_CHECKS),
]

const STEP_NAME = /^[\w.-]{1,64}$/
/** The default time limit of one try of an item. */
const DEFAULT_TIMEOUT = '5m'
/** The default limits of a host, if the spec has no rule for it. */
const DEFAULT_HOSTS: Readonly<Record<string, LaneSpec>> = { '*': { parallel: 8 } }

/** Reads a spec. Lists every problem of the options that only a crawl has; the job checks its own options later. */
export function readCrawl(spec: unknown): ReadCrawl {
  if (!isObject(spec) || typeof spec === 'function') {
    throw new PikoError(
      'JOB_INVALID',
      `a crawl's spec is ${describe(spec)}; expected an object such as { id: 'shop', seeds: ['https://…'], steps: { … } }`,
    )
  }
  const problems = unknownOptions(spec, KNOWN)
  const checks: Readonly<Record<string, OptionCheck | undefined>> = CRAWL_CHECKS
  const options: Record<string, unknown> = {}
  const job: Record<string, unknown> = {}
  for (const name of Object.keys(spec)) {
    const read = readProperty(spec, name)
    if ('problem' in read) problems.push(read.problem)
    else if (name === 'seeds' || name === 'steps' || !KNOWN.includes(name) || read.value === undefined) continue
    else if (!Object.hasOwn(checks, name)) job[name] = read.value
    else {
      const problem = problemOf(checks[name] ?? anything, read.value)
      if (problem === undefined) options[name] = read.value
      else problems.push(placed(name, problem))
    }
  }
  const seeds: unknown = propertyOf(spec, 'seeds')
  if (typeof seeds !== 'function' && !isList(seeds)) {
    problems.push(
      `seeds is ${describe(seeds)}; expected a list of requests, or a function: async function* (ctx) { … }`,
    )
  }
  const steps = readSteps(propertyOf(spec, 'steps'), options, problems)
  return {
    id: String(propertyOf(spec, 'id')),
    seeds: typeof seeds === 'function' ? (seeds as ReadCrawl['seeds']) : () => seeds,
    options,
    steps,
    job,
    problems,
  }
}

/** Returns the scope in which the crawl's requests are unique. */
export function dedupOf({ dedup }: Partial<CrawlOptions>): DedupScope {
  return dedup?.scope ?? 'run'
}

export function hostsOf({ hosts }: Partial<CrawlOptions>): Readonly<Record<string, LaneSpec>> {
  // A value that is not an object is left as it is, so that the later check shows the user's own value.
  const limits = Object.entries({ ...DEFAULT_HOSTS, ...hosts }).map(([host, spec]): [string, LaneSpec] => [
    hostKey(host) ?? host,
    isObject(spec) && !isList(spec) ? { throttle: true, ...spec } : spec,
  ])
  return Object.fromEntries(limits)
}

function readSteps(given: unknown, options: Partial<CrawlOptions>, problems: string[]): ReadonlyMap<string, StepPlan> {
  const steps = new Map<string, StepPlan>()
  if (!isObject(given) || isList(given) || Object.keys(given).length === 0) {
    problems.push(`steps is ${describe(given)}; expected an object of steps, such as { page: async (page, ctx) => … }`)
    return steps
  }
  for (const name of Object.keys(given)) {
    if (!STEP_NAME.test(name)) {
      problems.push(`steps has a step named ${describe(name)}; expected 1 to 64 letters, digits or any of _ - .`)
      continue
    }
    const step = readStep(name, propertyOf(given, name), problems)
    steps.set(name, stepPlan(name, step, options))
  }
  checkDownloaders(steps, options, problems)
  return steps
}

function readStep(name: string, given: unknown, problems: string[]): Partial<StepSpec> {
  const spec = typeof given === 'function' ? { parse: given } : given
  const example = '{ parse: async (page, ctx) => … }'
  const { options, problems: found } = readOptions<StepSpec>(spec, STEP_CHECKS, example, ['parse'])
  problems.push(...found.map((problem) => placed(`steps.${name}:`, problem)))
  return options
}

function stepPlan(name: string, step: Partial<StepSpec>, { follow }: Partial<CrawlOptions>): StepPlan {
  const own = step.downloader
  return {
    name,
    parse: step.parse ?? (() => undefined),
    request: step.request ?? {},
    priority: step.priority ?? 0,
    timeout: step.timeout ?? DEFAULT_TIMEOUT,
    downloader: own === undefined || typeof own === 'string' ? own : stepDownloader(name),
    own: typeof own === 'object' ? own : undefined,
    follow: linkFilter(step.follow ?? follow ?? {}),
  }
}

/** Returns the name of a downloader that a step defines inline, instead of naming one of the crawl. */
function stepDownloader(step: string): string {
  return `step:${step}`
}

function checkDownloaders(
  steps: ReadonlyMap<string, StepPlan>,
  { downloaders }: Partial<CrawlOptions>,
  problems: string[],
): void {
  const names = Object.keys(downloaders ?? {})
  for (const { name, downloader } of steps.values()) {
    if (downloader === undefined || downloader === stepDownloader(name) || names.includes(downloader)) continue
    problems.push(
      `steps.${name}: downloader is ${describe(downloader)}; expected one of ${names.join(', ') || 'the names in downloaders, which has none'}`,
    )
  }
}

/** Reports the problems of a crawl's spec. @throws PikoError `JOB_INVALID` that names all problems, if there are any */
export function throwProblems(id: string, problems: readonly string[]): void {
  if (problems.length > 0) {
    throw new PikoError('JOB_INVALID', problemsText(`crawl ${describe(id)}`, problems), {
      details: { jobId: id, problems },
    })
  }
}

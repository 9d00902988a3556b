import { messageOf } from '../../errors-read.ts'
import { isPikoError } from '../../errors.ts'
import { CHECKS } from './all-checks.ts'
import type { Check } from './check.ts'
import type { FactName, Facts, SettingFact } from './facts.ts'
import { type Finding, SEVERITIES } from './finding.ts'

/** The result of one check. */
export interface CheckState {
  readonly id: string
  /**
   * `failed`: the check could not run; a separate finding says so. `skipped`: something that it needs is missing; another finding reports
   * that.
   */
  readonly state: 'passed' | 'found' | 'failed' | 'skipped'
}

/** The report of the doctor. */
export interface DoctorReport {
  /** Whether there are no errors and no warnings. */
  readonly isHealthy: boolean
  /** The findings, the most serious first. */
  readonly findings: readonly Finding[]
  readonly checks: readonly CheckState[]
  /** The current settings, with secrets masked. Empty if they can't be read. */
  readonly settings: readonly SettingFact[]
}

/** The functions that collect the facts. If a fact has no function, it is unknown, and its checks are skipped. */
export type Gatherers = { readonly [N in FactName]?: () => Facts[N] | Promise<Facts[N]> }

/** A fact, or the error that prevented collecting it. Undefined: it was not collected. */
type Gathered = { readonly value: unknown } | { readonly error: unknown } | undefined

/** The facts that can be collected only with a current schema. */
const OF_TABLES: ReadonlySet<FactName> = new Set(['sizes', 'runs', 'fleet', 'plans', 'broken'])
/** The facts that need no database, and `ping`, which shows whether the database answers. */
const WITHOUT_DATABASE: ReadonlySet<FactName> = new Set(['problems', 'settings', 'paths', 'ping'])
/** The order in which facts are collected. The first ones decide whether the others can be collected. */
const ORDER: readonly FactName[] = [
  ...(['problems', 'settings', 'paths', 'ping', 'schema', 'server', 'clock', 'rights'] as const),
  ...(['sizes', 'runs', 'fleet', 'plans', 'broken'] as const),
]
/** The time limit for one fact. */
const LIMIT_MS = 15_000

/**
 * Collects the facts and runs the checks. Never rejects: if a fact can't be collected or a check throws, that is a finding, and all other
 * checks still run.
 */
export async function diagnose(
  gatherers: Gatherers,
  { checks = CHECKS, limitMs = LIMIT_MS }: { readonly checks?: readonly Check[]; readonly limitMs?: number } = {},
): Promise<DoctorReport> {
  const gathered = await gatherAll(gatherers, limitMs)
  const findings: Finding[] = []
  const states: CheckState[] = []
  const ping = gathered.get('ping')
  if (ping && 'error' in ping) findings.push(unreachable(ping.error))
  for (const check of checks) {
    const { state, found } = apply(check, gathered)
    states.push({ id: check.id, state })
    findings.push(...found)
  }
  const rank = ({ severity }: Finding): number => SEVERITIES.indexOf(severity)
  const settings = gathered.get('settings')
  return {
    isHealthy: findings.every(({ severity }) => severity === 'info'),
    findings: findings.sort((one, other) => rank(one) - rank(other)),
    checks: states,
    settings: settings && 'value' in settings ? (settings.value as Facts['settings']).values : [],
  }
}

async function gatherAll(gatherers: Gatherers, limitMs: number): Promise<ReadonlyMap<FactName, Gathered>> {
  const gathered = new Map<FactName, Gathered>()
  for (const name of ORDER) {
    const gather = gatherers[name]
    if (gather && canGather(name, gathered)) gathered.set(name, await gatherOne(gather, limitMs))
  }
  return gathered
}

/**
 * Whether a fact can be collected. Without a database, or with another schema, every statement would fail. So there is only one finding for
 * all of them.
 */
function canGather(name: FactName, gathered: ReadonlyMap<FactName, Gathered>): boolean {
  if (WITHOUT_DATABASE.has(name)) return true
  const ping = gathered.get('ping')
  if (ping && 'error' in ping) return false
  if (!OF_TABLES.has(name)) return true
  const schema = gathered.get('schema')
  if (!schema || !('value' in schema)) return true
  const { migration, lacking } = schema.value as Facts['schema']
  return migration.migrations.every(({ state }) => state === 'applied') && !lacking.some(({ kind }) => kind !== 'index')
}

async function gatherOne(gather: () => unknown, limitMs: number): Promise<Gathered> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${limitMs / 1_000} s`)), limitMs)
  try {
    return { value: await Promise.race([gather(), late.promise]) }
  } catch (error) {
    return { error }
  } finally {
    clearTimeout(timer)
  }
}

function apply(
  check: Check,
  gathered: ReadonlyMap<FactName, Gathered>,
): Pick<CheckState, 'state'> & { readonly found: readonly Finding[] } {
  const facts: Partial<Record<FactName, unknown>> = {}
  for (const name of check.needs) {
    const fact = gathered.get(name)
    if (!fact) return { state: 'skipped', found: [] }
    if ('error' in fact) return { state: 'failed', found: [failed(check.id, fact.error)] }
    facts[name] = fact.value
  }
  try {
    const found = check.find(facts as unknown as Facts)
    return { state: found.length > 0 ? 'found' : 'passed', found }
  } catch (error) {
    return { state: 'failed', found: [failed(check.id, error)] }
  }
}

function failed(id: string, error: unknown): Finding {
  const { found, remedy } = parted(error)
  return { id: `${id}.failed`, severity: 'warning', found: `the check "${id}" could not run: ${found}`, remedy }
}

function unreachable(error: unknown): Finding {
  const { found, remedy } = parted(error)
  return { id: 'connectivity.failed', severity: 'error', found: `the database does not answer: ${found}`, remedy }
}

/** Splits the message of an error. In a Piko error, the part after the last semicolon says what to do. */
function parted(error: unknown): Pick<Finding, 'found' | 'remedy'> {
  const message = messageOf(error)
  const at = isPikoError(error) ? message.lastIndexOf('; ') : -1
  if (at < 0) return { found: message, remedy: 'remove the cause, then: piko doctor' }
  return { found: message.slice(0, at), remedy: message.slice(at + 2) }
}

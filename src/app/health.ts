import { messageOf } from '../errors-read.ts'
import { isPikoError } from '../errors.ts'
import type { Service } from '../service/service.ts'
import { treeChecks } from './tree-checks.ts'

/** Whether the process can do its work, with one result for each part. */
export interface Health {
  readonly started: boolean
  readonly stopping: boolean
  /** The results of the checks, by name: `database`, `resources in use`, or the name of a service. */
  readonly checks: Readonly<Record<string, Check>>
}

export interface Check {
  readonly ok: boolean
  /** Why the check failed. */
  readonly message?: string
}

/** A probe that takes longer has failed. */
const CHECK_TIMEOUT_MS = 5_000

/**
 * Checks the services, the store and the probes. Returns the results by name.
 *
 * @param outage the error of the current database outage, if there is one
 * @param probes extra checks by name
 */
export async function checksOf(
  root: Service,
  outage: string | undefined,
  probes: Readonly<Record<string, () => Promise<void>>>,
): Promise<Health['checks']> {
  const asked = Object.entries(probes).map(async ([name, probe]) => [name, await passes(probe)] as const)
  return {
    ...treeChecks(root),
    ...(outage !== undefined && { store: { ok: false, message: outage } }),
    ...Object.fromEntries(await Promise.all(asked)),
  }
}

async function passes(check: () => Promise<void>): Promise<Check> {
  try {
    const timer = Promise.withResolvers<never>()
    const late = setTimeout(
      () => timer.reject(new Error(`no answer within ${CHECK_TIMEOUT_MS / 1_000} s`)),
      CHECK_TIMEOUT_MS,
    )
    await Promise.race([check(), timer.promise]).finally(() => clearTimeout(late))
    return { ok: true }
  } catch (error) {
    return { ok: false, message: isPikoError(error) ? error.message : messageOf(error) }
  }
}

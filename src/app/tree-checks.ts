import { messageOf } from '../errors-read.ts'
import type { Service } from '../service/service.ts'
import { LoopService } from '../engine/loop/loop-service.ts'
import { SharedValues } from '../engine/node/shared-values.ts'
import { NodeLease } from '../engine/node/node-lease.ts'

/** A loop that has failed more often than this in a row is not ready. */
const MAX_FAILURES = 2

/** Returns whether each service below the root is ready: `{ store: { ok: true }, … }`. */
export function treeChecks(root: Service): Record<string, { ok: boolean; message?: string }> {
  const checks: Record<string, { ok: boolean; message?: string }> = {}
  const add = (service: Service): void => {
    const key = service.name in checks ? `${service.name} ${service.id}` : service.name
    checks[key] = checkOf(service)
    for (const child of service.children) add(child)
  }
  for (const child of root.children) add(child)
  return checks
}

function checkOf(service: Service): { ok: boolean; message?: string } {
  if (!service.isRunning) {
    const { crashReason } = service
    return { ok: false, message: crashReason ? `${service.state}: ${messageOf(crashReason)}` : service.state }
  }
  if ((service instanceof LoopService || service instanceof NodeLease) && service.failures > MAX_FAILURES) {
    return { ok: false, message: `failed ${service.failures} times in a row` }
  }
  const refusals = service instanceof SharedValues ? service.refusals : undefined
  return refusals === undefined ? { ok: true } : { ok: false, message: refusals }
}

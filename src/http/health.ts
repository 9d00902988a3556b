import type { FastifyInstance } from 'fastify'
import type { Check, Health } from '../app/health.ts'
import { messageOf } from '../errors-read.ts'
import { redactText } from '../run/redact.ts'

export interface HealthSource {
  /** Whether the process is stopping. Must return immediately, because a liveness probe must not wait for a database. */
  isStopping(): boolean
  /** Checks the process. It may query the database and the resources. If it rejects, the process is not ready. */
  health(): Promise<Health> | Health
}

/**
 * Serves two probes. `/healthz` shows that the process is alive, even if its database does not respond; the status is always 200. `/readyz`
 * lists all checks, and shows by its status whether the process can run jobs: 200, otherwise 503. A node that is not the leader is also
 * ready: it runs jobs, and rolling updates wait for readiness.
 */
export function healthRoutes(server: FastifyInstance, source: HealthSource): void {
  server.get('/healthz', () => ({ status: source.isStopping() ? 'shutting_down' : 'ok' }))

  server.get('/readyz', async (_request, reply) => {
    const checks = await checksOf(source)
    const ready = Object.values(checks).every((check) => check.ok)
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready', ready, checks })
  })
}

async function checksOf(source: HealthSource): Promise<Record<string, Check>> {
  try {
    const { started, stopping, checks } = await source.health()
    const shown = Object.entries(checks).map(([name, { ok, message }]): [string, Check] => [
      name,
      message === undefined ? { ok } : { ok, message: redactText(message) },
    ])
    return { ...Object.fromEntries(shown), process: lifeOf(started, stopping) }
  } catch (thrown) {
    return { health: { ok: false, message: redactText(`the checks failed: ${messageOf(thrown)}`) } }
  }
}

function lifeOf(started: boolean, stopping: boolean): Check {
  if (stopping) return { ok: false, message: 'stopping: this node claims no new runs' }
  return started ? { ok: true } : { ok: false, message: 'starting' }
}

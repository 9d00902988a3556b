import type { FastifyInstance } from 'fastify'
import type { Check, Health } from '../app/health.ts'
import { messageOf } from '../errors-read.ts'
import { redactText } from '../run/redact.ts'

export interface HealthSource {
  /** Answers immediately, because liveness must not wait for a database. */
  isStopping(): boolean
  /** May query the database and the resources. A rejection means "not ready". */
  health(): Promise<Health> | Health
}

/**
 * `/healthz`: the process lives, even if its database does not answer; always 200. `/readyz`: whether the process can run jobs; 200, or 503
 * with the failed checks. A node that does not lead is ready too: it runs jobs, and rolling updates wait for readiness.
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
  if (stopping) return { ok: false, message: 'stopping: this node takes no new runs' }
  return started ? { ok: true } : { ok: false, message: 'starting' }
}

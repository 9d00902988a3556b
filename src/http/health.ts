import { type FastifyInstance } from 'fastify'
import { messageOf } from '../errors-read.ts'
import { redactText } from '../run/redact.ts'

export interface Check {
  readonly ok: boolean
  /** Why not, or what a reader of the answer wants to know (`follower`). */
  readonly message?: string
}

export interface Health {
  readonly started: boolean
  readonly stopping: boolean
  /** By name, such as `database` or a resource's. To follow another leader is no failure. */
  readonly checks: Readonly<Record<string, Check>>
}

export interface HealthSource {
  /** Known at once: liveness must not wait for a database. */
  isStopping(): boolean
  /** May ask the database and the resources. A rejection means "not ready". */
  health(): Promise<Health> | Health
}

/**
 * `/healthz`: the process lives, whatever its database does; always 200. `/readyz`: it can run jobs; 200 or 503 with the
 * checks that say why. A follower is ready: it runs jobs, and rolling updates wait for readiness.
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
  if (stopping) return { ok: false, message: 'stopping: no new run is taken' }
  return started ? { ok: true } : { ok: false, message: 'starting' }
}

import { getHeapSnapshot } from 'node:v8'
import { z } from 'zod'
import { listen } from '../../link/connect/listen.ts'
import { defineRoutes, type Routes } from '../../link/routes/define-routes.ts'
import { Service } from '../../service/service.ts'
import { serviceReport } from '../../service/service-report.ts'
import { LOG_LEVELS } from '../../settings/log-level.ts'

export interface AttachParts {
  /** The path of the Unix socket. Only this operating system user can open it. */
  readonly path: string
  /** The root of the services. */
  readonly root: () => Service
  readonly log: { level: string }
}

/** Lets `piko attach` inspect this process over a Unix socket that only the same user can open. */
export class AttachServer extends Service {
  readonly #parts: AttachParts

  constructor(parts: AttachParts) {
    super({ name: 'attach' })
    this.#parts = parts
  }

  protected override async onStart(): Promise<void> {
    const server = listen({ path: this.#parts.path, routes: [attachRoutes(this.#parts)], log: this.log })
    this.defer(() => server.stop())
    await server.start()
  }
}

function attachRoutes({ root, log }: AttachParts): Routes {
  return defineRoutes({ prefix: '/attach' })
    .on('/tree', () => serviceReport(root()))
    .on('/tasks', () => tasksOf(root()))
    .on('/handles', () => ({
      active: process.getActiveResourcesInfo().toSorted(),
      memory: process.memoryUsage(),
      uptimeS: process.uptime(),
    }))
    .on('/log-level', { in: z.object({ level: z.enum(LOG_LEVELS).optional() }) }, ({ body }) => {
      const before = log.level
      if (body.level !== undefined) log.level = body.level
      return { before, level: log.level }
    })
    .on('/heap', () => getHeapSnapshot())
}

function tasksOf(service: Service): object[] {
  const own = service.tasks.map(({ name, kind, runningMs }) => ({ service: service.path, name, kind, runningMs }))
  return [...own, ...service.children.flatMap(tasksOf)]
}

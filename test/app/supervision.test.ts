import { defineJob } from 'piko'
import { HttpService } from 'piko/http'
import { Service } from 'piko/service'
import { describe, expect, it } from 'vitest'
import { eventually, makeApp, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

describeEachStore((fixture) => {
  describe('a service that crashes while runs are in flight', () => {
    it('restarts, and no run is lost or executed twice', async () => {
      const executions = new Map<number, number>()
      const work = defineJob({ id: 'work' }, async (ctx) => {
        await new Promise((resolve) => setTimeout(resolve, 30))
        executions.set(ctx.runId, (executions.get(ctx.runId) ?? 0) + 1)
      })
      const app = makeApp(fixture.options, work)
      const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
      await app.start()
      const readiness = async (): Promise<number> => (await fetch(`${http.url}/readyz`)).status
      const restarted = recordEvents(app, 'service.restarted')
      const ids: number[] = []
      const enqueue = async (): Promise<void> => {
        const runs = await Promise.allSettled(Array.from({ length: 10 }, () => app.run('work')))
        for (const run of runs) if (run.status === 'fulfilled') ids.push(run.value.id)
      }
      const names = (await app.tree()).children.map((service) => service.name)
      expect(names).toEqual([
        'http',
        'store',
        'cpu-pool',
        'resources',
        'sinks',
        'doorbell',
        'node-link',
        'heartbeat',
        'connection-report',
        'recovery',
        'config-watcher',
        'waiter',
        'locks',
        'shared-values',
        'electors',
        'caches',
        'live-events',
        'enqueue',
        'run-logs',
        'run-progress',
        'cancellation',
        'node-report',
        'executor',
        'registration',
        'leader',
        'planner',
        'retention',
        'unknown-jobs',
        'backfills',
        'batches',
        'dependencies',
        'notices',
        'alerting',
        'dispatcher',
      ])
      for (const service of (await app.tree()).children) {
        await enqueue()
        service.crash(new Error(`injected into ${service.name}`))
        expect((await app.health()).checks[service.name]).toMatchObject({ ok: false })
        if (service !== http) {
          const status = await readiness()
          // On a busy machine the event may arrive after the restart.
          if (restarted.at(-1)?.service !== `Piko/${service.name}`) expect(status).toBe(503)
        }
        await eventually(() => expect(restarted.at(-1)?.service).toBe(`Piko/${service.name}`))
        expect(service.isRunning).toBe(true)
        // Loops that failed because of the crash recover shortly after.
        await eventually(async () => {
          const { checks } = await app.health()
          expect(Object.entries(checks).filter(([, check]) => !check.ok)).toEqual([])
          expect(await readiness()).toBe(200)
        })
        await enqueue()
      }
      const runs = await Promise.all(ids.map((id) => app.waitFor(id)))
      expect(runs.every((run) => run.state === 'succeeded' && run.attempt === 1)).toBe(true)
      expect(ids.length).toBeGreaterThanOrEqual(names.length * 10)
      expect([...executions.values()].every((count) => count === 1)).toBe(true)
      expect(await app.runs.list({ state: 'running' })).toEqual([])
      const { body } = await app.metrics()
      for (const name of names) {
        expect(body).toContain(`piko_service_restarted_total{service="Piko/${name}"} 1`)
        expect(body).toContain(`piko_service_crashed_total{service="Piko/${name}"} 1`)
      }
    })
  })
})

describe("a user's service", () => {
  class Cache extends Service {
    readonly views = new Map<string, number>()
    closed = 0

    add(page: string): number {
      const views = (this.views.get(page) ?? 0) + 1
      this.views.set(page, views)
      return views
    }

    protected override onStopped(): void {
      this.closed += 1
    }
  }

  const count = defineJob({ id: 'count', resources: { cache: Cache } }, ({ resources, input }) =>
    resources.cache.add(String(input)),
  )

  it('starts before runs, is borrowed by its class, restarts after a crash, and stops after the last run', async () => {
    const app = await startApp({}, count, { services: [Cache] })
    const cache = (await app.tree()).children.find((service) => service instanceof Cache) as Cache
    expect((await app.run('count', { input: '/a', wait: true })).output).toBe(1)
    expect((await app.run('count', { input: '/a', wait: true })).output).toBe(2)
    cache.crash(new Error('injected'))
    await eventually(() => expect(cache).toMatchObject({ isRunning: true, restarts: 1 }))
    expect((await app.run('count', { input: '/a', wait: true })).output).toBe(3)
    const last = app.run('count', { input: '/a' })
    await last
    await app.stop()
    expect(cache).toMatchObject({ state: 'stopped', closed: 2 })
  })

  it('fails the run with its name when the app does not have it', async () => {
    const app = await startApp({}, count)
    await expect(app.run('count', { wait: true })).rejects.toThrow(/service Cache can't be borrowed.*services: \[…\]/)
  })
})

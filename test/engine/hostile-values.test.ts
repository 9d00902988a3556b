import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/job/define-job.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { type AppLogger, createLogger } from '../../src/telemetry/log.ts'
import { eventually, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { HOSTILE_RETURNED, HOSTILE_THROWN, raise, throwingField, untouchable } from '../support/hostile.ts'

/** Writes every line to a place that nobody reads. */
function unseen(): AppLogger {
  return createLogger({ level: 'trace', json: true, name: 'test', stream: { write: () => {} } })
}

const THROWN = new Map(HOSTILE_THROWN)
const RETURNED = new Map(HOSTILE_RETURNED)

const Input = z.object({ name: z.string() })
const made = (from: ReadonlyMap<string, () => unknown>, input: unknown): unknown =>
  from.get(Input.parse(input).name)?.()

const Broken = defineResource({
  name: 'broken',
  acquire: () => raise(untouchable(new Error('acquire'))),
})

describeEachStore((store) => {
  it('a run fails whatever its handler throws, and the slot is free again', async () => {
    const app = await startApp(
      store.options,
      [
        defineJob({ id: 'throws' }, ({ input }) => raise(made(THROWN, input))),
        defineJob({ id: 'rejects' }, async ({ input }) => {
          await Promise.resolve()
          raise(made(THROWN, input))
        }),
        defineJob({ id: 'retried', retry: { limit: 1, base: '1ms', retryIf: (error) => raise(error) } }, ({ input }) =>
          raise(made(THROWN, input)),
        ),
        defineJob({ id: 'innocent' }, () => 'done'),
      ],
      { logger: unseen(), settings: { piko: { concurrency: 1 } } },
    )
    for (const [name] of HOSTILE_THROWN) {
      const jobs = ['throws', 'rejects', 'retried']
      const ids = await Promise.all(jobs.map((job) => app.enqueue(job, { input: { name } })))
      for (const run of await Promise.all(ids.map((id) => app.waitFor(id)))) {
        expect([name, run.state]).toEqual([name, 'failed'])
        expect(run.error?.message).toEqual(expect.any(String))
        expect(JSON.stringify(run.error).length).toBeLessThan(30_000)
      }
    }
    expect(await app.run('innocent', { wait: true })).toMatchObject({ state: 'succeeded', output: 'done' })
  })

  it('a run fails whatever its handler returns, and the slot is free again', async () => {
    const app = await startApp(
      store.options,
      [
        defineJob({ id: 'returns' }, ({ input }) => made(RETURNED, input)),
        defineJob({ id: 'resolves' }, async ({ input }) => {
          await Promise.resolve()
          return made(RETURNED, input)
        }),
        defineJob({ id: 'commits' }, async (ctx) => {
          await ctx.commit(() => made(RETURNED, ctx.input) as Promise<unknown>)
        }),
        defineJob({ id: 'innocent' }, () => 'done'),
      ],
      { logger: unseen(), settings: { piko: { concurrency: 1 } } },
    )
    for (const [name] of HOSTILE_RETURNED) {
      const jobs = ['returns', 'resolves', 'commits']
      const ids = await Promise.all(jobs.map((job) => app.enqueue(job, { input: { name } })))
      for (const run of await Promise.all(ids.map((id) => app.waitFor(id))))
        expect([name, run.jobId, run.state]).toEqual([name, run.jobId, 'failed'])
    }
    expect(await app.run('innocent', { wait: true })).toMatchObject({ state: 'succeeded', output: 'done' })
  })

  it('a run fails whatever a list of items throws, even if nobody awaits the call', async () => {
    const thrown = ['a proxy that throws', 'a revoked proxy', 'an object whose conversion throws', 'a symbol']
    const adds = defineJob({ id: 'adds', items: { page: { run: () => {} } } }, async (ctx) => {
      const list = function* (): Generator<number> {
        yield 1
        raise(made(THROWN, ctx.input))
      }
      void ctx.items.add('page', list())
    })
    const app = await startApp(store.options, [adds], { logger: unseen() })
    for (const name of thrown) {
      const run = await app.waitFor(await app.enqueue('adds', { input: { name } }))
      expect([name, run.state, typeof run.error?.message]).toEqual([name, 'failed', 'string'])
    }
  })

  it('says in the error of the run what could not be read', async () => {
    const app = await startApp(store.options, [
      defineJob({ id: 'unreadable' }, () => raise(throwingField('message', new Error('no text')))),
      defineJob({ id: 'proxied' }, () => raise(untouchable(new Error('behind')))),
    ])
    const run = await app.waitFor(await app.enqueue('unreadable'))
    expect(run.error?.message).toBe(`(its message can't be read: reading it threw "no text")`)
    const proxied = await app.waitFor(await app.enqueue('proxied'))
    expect(proxied.error?.message).toContain('a value that is not an Error was thrown')
  })

  it('stores the output as it was at the check', async () => {
    let asked = 0
    const app = await startApp(store.options, [
      defineJob({ id: 'fickle' }, () => ({ toJSON: () => (++asked > 1 ? raise(untouchable()) : { asked }) })),
      defineJob({ id: 'innocent' }, () => 'done'),
    ])
    const [fickle, innocent] = await Promise.all([
      app.run('fickle', { wait: true }),
      app.run('innocent', { wait: true }),
    ])
    expect([fickle.output, innocent.output]).toEqual([{ asked: 1 }, 'done'])
  })

  it('stores the input as it was at the check, and refuses one that throws', async () => {
    let asked = 0
    const app = await startApp(store.options, [defineJob({ id: 'echo' }, ({ input }) => input)])
    const input = { toJSON: () => (++asked > 1 ? raise(untouchable()) : { asked }) }
    expect((await app.run('echo', { input, wait: true })).output).toEqual({ asked: 1 })
    for (const [name, make] of HOSTILE_RETURNED.slice(-5))
      await expect(app.run('echo', { input: make() }), name).rejects.toMatchObject({ name: 'PikoError', code: 'USAGE' })
  })

  it('a resource or a sink that throws an unreadable value fails only its run', async () => {
    class Row {
      readonly id = 1
    }
    const sink = defineSink({
      name: 'rows',
      on: [[Row, () => raise(untouchable(new Error('deliver')))]],
    })
    const app = await startApp(store.options, [
      defineJob({ id: 'borrows', resources: { broken: Broken } }, () => {}),
      defineJob({ id: 'writes', sinks: { rows: sink } }, async ({ sinks }) => sinks.rows.write(Row, new Row())),
      defineJob({ id: 'innocent' }, () => 'done'),
    ])
    const borrows = await app.waitFor(await app.enqueue('borrows'))
    expect(borrows.error).toMatchObject({ code: 'RESOURCE_FAILED' })
    const writes = await app.waitFor(await app.enqueue('writes'))
    expect(writes.error).toMatchObject({ code: 'SINK_FAILED' })
    expect((await app.run('innocent', { wait: true })).state).toBe('succeeded')
  })

  it('a listener that throws or rejects affects nothing else', async () => {
    const app = await startApp(store.options, [defineJob({ id: 'innocent' }, () => 'done')])
    const warnings: string[] = []
    const onWarning = (warning: Error): void =>
      void (warning.name === 'PikoListenerWarning' && warnings.push(warning.message))
    process.on('warning', onWarning)
    app.events.on('run.started', () => raise(untouchable()))
    const rejects: () => unknown = async () => Promise.resolve().then(() => raise(untouchable()))
    app.events.on('run.settled', rejects)
    app.events.onAny(() => raise(throwingField('message')))
    const settled = nextEvent(app, 'run.settled')
    expect((await app.run('innocent', { wait: true })).state).toBe('succeeded')
    await settled
    await eventually(() => expect(warnings.length).toBeGreaterThanOrEqual(3))
    process.off('warning', onWarning)
    expect(warnings[0]).toMatch(/^an event listener failed: /)
  })

  it('a log line with an unreadable value is written without it', async () => {
    const app = await startApp(
      store.options,
      [
        defineJob({ id: 'logs' }, ({ log }) => {
          for (const [, make] of [...HOSTILE_THROWN, ...HOSTILE_RETURNED]) {
            const value = make()
            log.warn({ err: value, value, deep: { value } }, 'looked at')
            if (typeof value === 'object' && value !== null) log.warn(value, 'as fields')
          }
        }),
      ],
      { logger: unseen() },
    )
    expect((await app.run('logs', { wait: true })).state).toBe('succeeded')
  })
})

describe('an error of retryIf', () => {
  describeEachStore((store) => {
    it('is stored with the error of the run, the job and the option', async () => {
      const app = await startApp(store.options, [
        defineJob({ id: 'asked', retry: { limit: 3, retryIf: () => raise(new TypeError('no such field')) } }, () =>
          raise(new Error('upstream is down')),
        ),
        defineJob(
          { id: 'promised', retry: { limit: 3, retryIf: (() => Promise.reject(new Error('late'))) as never } },
          () => raise(new Error('upstream is down')),
        ),
      ])
      const asked = await app.waitFor(await app.enqueue('asked'))
      expect(asked).toMatchObject({ state: 'failed', attempt: 1 })
      expect(asked.error?.message).toBe(
        'upstream is down (retry.retryIf of job "asked" threw TypeError: no such field; the run is not retried)',
      )
      expect(asked.error?.stack).toMatch(/upstream is down[^]*And then: [^]*Caused by: TypeError: no such field/)
      const promised = await app.waitFor(await app.enqueue('promised'))
      expect(promised.error?.message).toContain(
        'retry.retryIf of job "promised" returned a promise; expected true or false',
      )
    })
  })
})

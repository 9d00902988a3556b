import { createClient, type RedisClientType } from '@redis/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { redis } from '../../src/data/index.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { eventually, Gate, startApp } from '../support/app.ts'
import { createSqliteFile } from '../support/databases.ts'
import { RedisServer } from '../support/redis-server.ts'
import { rejected, thrown } from '../support/thrown.ts'

describe('redis', () => {
  let server: RedisServer
  let store: ReturnType<typeof createSqliteFile>

  beforeAll(async () => {
    server = await RedisServer.start()
    store = createSqliteFile()
  })

  afterAll(async () => {
    await server.stop()
    store.remove()
  })

  it('gives runs the commands of one connection, which end with the run', async () => {
    const cache = redis(server.url)
    const typed = redis<RedisClientType>({ url: server.url })
    const begun = new Gate()
    const job = defineJob({ id: 'cached', resources: { cache, typed } }, async ({ resources }) => {
      await resources.cache.set('one', 1)
      await resources.typed.lPush('list', ['a', 'b'])
      return [await resources.cache.get('one'), await resources.typed.lRange('list', 0, -1)]
    })
    const waiting = defineJob({ id: 'waiting', timeout: '1s', resources: { cache } }, async ({ resources }) => {
      begun.open()
      // Its answer never comes before the timeout.
      await resources.cache.sendCommand(['CLIENT', 'PAUSE', '3000'])
      await resources.cache.get('one')
    })
    const app = await startApp({ sqlitePath: store.path }, [job, waiting])
    expect((await app.run('cached', { wait: true })).output).toEqual(['1', ['b', 'a']])
    const error = await rejected(app.run('waiting', { wait: true }))
    expect(error.message).toContain('took longer than its timeout')
    await begun.pass()
    await app.stop()
  })

  it('connects again after a restart of the server, and leaves a client of the user open', async () => {
    const client = createClient({ url: server.url })
    client.on('error', () => {})
    await client.connect()
    const [own, users] = [redis(server.url), redis(client)]
    const job = defineJob({ id: 'ask', resources: { own, users } }, async ({ resources }) => [
      await resources.own.set('x', 'y'),
      await resources.users.ping(),
    ])
    const app = await startApp({ sqlitePath: store.path }, job)
    expect((await app.run('ask', { wait: true })).output).toEqual(['OK', 'PONG'])
    await server.kill()
    await eventually(() => expect(client.isReady).toBe(false))
    const waiting = app.run('ask', { wait: true })
    await eventually(async () => expect(await app.runs.list({ state: 'running' })).toHaveLength(1))
    await server.launch()
    expect((await waiting).output).toEqual(['OK', 'PONG'])
    await app.stop()
    expect(await client.ping()).toBe('PONG')
    await client.close()
  })

  it('says in time that it can’t connect, and names problems without a secret', async () => {
    const gone = redis('redis://:s3cret@127.0.0.1:1', { wait: '200ms' })
    const job = defineJob({ id: 'gone', resources: { gone } }, () => {})
    const app = await startApp({ sqlitePath: store.path }, job)
    const error = await rejected(app.run('gone', { wait: true }))
    expect(error.message).toMatch(/no connection within 200ms: .*ECONNREFUSED/)
    expect(error.message).not.toContain('s3cret')
    await app.stop()

    const wrong = thrown(() => redis('mysql://u:s3cret@h', { wiat: '1s' } as never))
    expect(wrong.details['problems']).toEqual([
      expect.stringContaining('the URL is no Redis URL; expected redis://'),
      'unknown option "wiat", did you mean "wait"?',
    ])
    expect(wrong.message).not.toContain('s3cret')
  })
})

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { createServer } from 'node:tls'
import { createClient, type RedisClientType } from '@redis/client'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { redis } from '../../src/data/index.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { messageOf } from '../../src/errors-read.ts'
import { Certificates } from '../support/certificates.ts'
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

  it('checks the certificate of a rediss server, and its host', async () => {
    const certificates = await Certificates.create()
    onTestFinished(() => certificates.remove())
    certificates.sign('IP:127.0.0.1')
    const [cert, key] = [readFileSync(certificates.file('server.pem')), readFileSync(certificates.file('server.key'))]
    const { hostname, port, password } = new URL(server.url)
    const proxy = createServer({ cert, key }, (socket) => {
      const to = connect(Number(port), hostname)
      for (const end of [socket, to]) end.on('error', () => [socket, to].forEach((one) => one.destroy()))
      socket.pipe(to).pipe(socket)
    })
    proxy.on('tlsClientError', () => {})
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    onTestFinished(() => void proxy.close())
    const url = (host: string) => `rediss://:${password}@${host}:${(proxy.address() as AddressInfo).port}`
    const ca = readFileSync(certificates.file('authority.pem'))
    const wait = '1s'
    const resources = {
      right: redis({ url: url('127.0.0.1'), socket: { tls: true, ca } }, { wait }),
      stranger: redis(url('127.0.0.1'), { wait }),
      other: redis({ url: url('localhost'), socket: { tls: true, ca } }, { wait }),
    }
    const ask = async (cache: (typeof resources)['right']) => {
      const job = defineJob({ id: 'tls', resources: { cache } }, ({ resources }) => resources.cache.set('tls', 'on'))
      const app = await startApp({ sqlitePath: store.path }, job)
      const end = await app.run(job, { wait: true }).then(({ output }) => output, messageOf)
      await app.stop()
      return end
    }
    expect(await ask(resources.right)).toBe('OK')
    expect(await ask(resources.stranger)).toMatch(/unable to verify the first certificate/)
    expect(await ask(resources.other)).toMatch(/does not match certificate's altnames/)
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
      expect.stringContaining('the URL is not a Redis URL; expected redis://'),
      'unknown option "wiat", did you mean "wait"?',
    ])
    expect(wrong.message).not.toContain('s3cret')
  })
})

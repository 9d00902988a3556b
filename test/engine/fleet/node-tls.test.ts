import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Piko } from '../../../src/app/piko.ts'
import { type Clock, systemClock } from '../../../src/clock.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { createLogger } from '../../../src/telemetry/log.ts'
import { eventually, Gate, startApp } from '../../support/app.ts'
import { Certificates } from '../../support/certificates.ts'
import { describeSqlite } from '../../support/databases.ts'

/** Without its polls, a node sees a cancel only over a link. */
const deaf: Clock = {
  ...systemClock,
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic(),
  sleep: (ms, signal, who) => systemClock.sleep(who === 'cancellation' ? Infinity : ms, signal, who),
}
const SECRET = 'a secret of sixteen characters'

// The store takes no part in it.
describeSqlite((store) => {
  let certificates: Certificates
  beforeAll(async () => {
    certificates = await Certificates.create()
  })
  afterAll(() => certificates.remove())

  /** A node that executes `holds`, another one that asks, and the lines of the log of the latter. */
  async function pair({ ca = 'authority.pem', secret = SECRET } = {}) {
    const gate = new Gate()
    const began = Promise.withResolvers<void>()
    const job = defineJob({ id: 'holds' }, async ({ signal }) => {
      began.resolve()
      await gate.pass(signal)
    })
    const lines: { msg: string; err?: { message: string } }[] = []
    const stream = { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) }
    const logger = createLogger({ level: 'warn', json: true, name: 'test', stream })
    const node = (link: object, execute: boolean): Promise<Piko> =>
      startApp(store.options, [job], {
        ...{ clock: deaf, execute, settings: { piko: { doorbell: 'off' }, link } },
        ...(!execute && { logger }),
      })
    const [cert, key] = [certificates.file('server.pem'), certificates.file('server.key')]
    const worker = await node({ listen: '127.0.0.1:0', secret: SECRET, tls_cert: cert, tls_key: key }, true)
    const asks = await node({ secret, tls_ca: certificates.file(ca) }, false)
    const id = await worker.enqueue('holds')
    await began.promise
    await asks.runs.cancel(id)
    return { worker, id, lines, end: () => gate.open() }
  }

  it('nodes whose certificates are valid reach each other over TLS', async () => {
    certificates.sign('IP:127.0.0.1')
    const { worker, id, lines } = await pair()
    expect(await worker.waitFor(id)).toMatchObject({ state: 'cancelled' })
    expect(lines).toEqual([])
  })

  it.each([
    ['is for another host', 'DNS:elsewhere.example', {}, /another host: use a host name or IP address that is in it/],
    ['is of an unknown authority', 'IP:127.0.0.1', { ca: 'stranger.pem' }, /unknown here: pass .* \[link\] tls_ca/],
    ['is right, but the secret is not', 'IP:127.0.0.1', { secret: 'x'.repeat(16) }, /secret/],
  ])('a node warns once with the reason if the certificate %s', async (_, names, settings, reason) => {
    certificates.sign(names)
    const { lines, end } = await pair(settings)
    await eventually(() => expect(lines).toHaveLength(1))
    expect(lines[0]!.msg).toContain('do not trust each other')
    expect(lines[0]!.err!.message).toMatch(reason)
    end()
  })
})

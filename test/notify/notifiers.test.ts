import { createHmac } from 'node:crypto'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Notice, NoticeJob, Notifier } from '../../src/notice/notice.ts'
import { email } from '../../src/notify/email.ts'
import { linesOf, titleOf } from '../../src/notify/notice-text.ts'
import { slack } from '../../src/notify/slack.ts'
import { webhook, webhookHeaders } from '../../src/notify/webhook.ts'
import { hookReceiver } from '../support/hook-receiver.ts'
import { freePort } from '../support/mysql-server.ts'
import { mailServer } from '../support/mail-server.ts'
import { thrown } from '../support/thrown.ts'

const at = new Date('2026-01-01T12:00:00Z')
const job = (more: Partial<NoticeJob> = {}): NoticeJob => ({
  ...{ jobId: 'sync', problem: 'failure', count: 3, since: at, lastAt: at, runId: 17, error: 'Error: <no> & shop' },
  ...more,
})
const notice = (more: Partial<Notice> = {}): Notice => ({
  ...{ id: 7, kind: 'failure', at, jobs: [job()], jobCount: 1, count: 3 },
  ...more,
})
const send = (notifier: Notifier, given = notice()) => notifier.send(given, { signal: AbortSignal.timeout(60_000) })

describe('strings', () => {
  it.each([
    ['3 runs of sync failed', notice()],
    ['1 run of sync failed', notice({ count: 1 })],
    ['500 runs of 20 jobs failed', notice({ jobCount: 20, count: 500 })],
    ['sync is late', notice({ kind: 'late' })],
    ['2 jobs are late', notice({ kind: 'late', jobCount: 2 })],
    ['sync has recovered', notice({ kind: 'recovered' })],
    ['Test of Piko: this channel works', notice({ kind: 'test', jobs: [], jobCount: 0 })],
  ])('%s', (title, given) => expect(titleOf(given)).toBe(title))

  it('has a line a job with what to look at, and counts the others', () => {
    const window = { start: new Date('2026-01-01T00:00:00Z'), end: at }
    const lines = linesOf(
      notice({ jobs: [job(), job({ jobId: 'day', problem: 'late', window })], jobCount: 7 }),
      'https://p.test/',
    )
    expect(lines).toEqual([
      'sync: 3 failures since 2026-01-01T12:00:00.000Z; last: Error: <no> & shop https://p.test/runs/17',
      'day: late, 3 windows without data (2026-01-01T00:00:00.000Z – 2026-01-01T12:00:00.000Z) https://p.test/runs/17',
      'and 5 more jobs',
    ])
  })

  it('names the tick of a late job without windows', () => {
    const late = (more: Partial<NoticeJob>) => job({ jobId: 'day', problem: 'late', count: 1, tick: at, ...more })
    const recovered = late({ recoveredAt: new Date(at.getTime() + 7_200_000) })
    expect([
      ...linesOf(notice({ kind: 'late', jobs: [late({}), late({ isRepeated: true })], jobCount: 2 }), ''),
      ...linesOf(notice({ kind: 'recovered', jobs: [recovered] }), ''),
    ]).toEqual([
      'day: late, the run of 2026-01-01T12:00:00.000Z has not succeeded',
      'day: still late, the run of 2026-01-01T12:00:00.000Z has not succeeded',
      'day: works again after 2h 00m',
    ])
  })
})

describe('webhook', () => {
  it('signs in the form of Standard Webhooks, also with a key in base64', () => {
    const signed = 'piko-7.1767268800.{}'
    const headers = webhookHeaders(7, '{}', `whsec_${Buffer.from('secret key').toString('base64')}`, at.getTime())
    expect(headers).toEqual({
      'webhook-id': 'piko-7',
      'webhook-timestamp': '1767268800',
      'webhook-signature': `v1,${createHmac('sha256', 'secret key').update(signed).digest('base64')}`,
    })
    expect(webhookHeaders(7, '{}', undefined, 0)).not.toHaveProperty('webhook-signature')
  })

  it('sends its own headers and what its template makes', async () => {
    const { url, received } = await hookReceiver()
    await send(webhook({ url, headers: { authorization: 'Bearer x' }, template: ({ count }) => ({ n: count }) }))
    expect(received[0]).toMatchObject({ json: { n: 3 }, headers: { authorization: 'Bearer x' } })
  })

  it('fails without showing the path, which may be a secret', async () => {
    const { url } = await hookReceiver(404)
    const refused = await Promise.resolve(send(webhook({ url }))).catch((error: unknown) => error)
    expect(String(refused)).toMatch(/^Error: http:\/\/127\.0\.0\.1:\d+ answered 404: thanks$/)
    const gone = await Promise.resolve(send(webhook({ url: `http://127.0.0.1:${await freePort()}/secret` }))).catch(
      (error: unknown) => error,
    )
    expect(String(gone)).toMatch(/^Error: http:\/\/127\.0\.0\.1:\d+ can't be reached: .*ECONNREFUSED/)
  })
})

it('slack posts text in which no part of an error becomes markup', async () => {
  const { url, received } = await hookReceiver()
  await send(slack({ url }))
  expect(received[0]?.json).toEqual({
    text: ':red_circle: *3 runs of sync failed*\n• sync: 3 failures since 2026-01-01T12:00:00.000Z; last: Error: &lt;no&gt; &amp; shop',
  })
  await send(slack({ url, template: () => ({ blocks: [] }) }))
  expect(received[1]?.json).toEqual({ blocks: [] })
})

it('email sends a mail to all recipients', async () => {
  const { url, mails } = await mailServer()
  await send(email({ smtp: url, from: 'Piko <piko@p.test>', to: ['a@p.test', 'b@p.test'] }))
  expect(mails).toMatchObject([{ from: 'piko@p.test', to: ['a@p.test', 'b@p.test'] }])
  expect(mails[0]?.content).toMatch(/^Subject: 3 runs of sync failed$/m)
  expect(mails[0]?.content).toMatch(/^Message-ID: <piko-7-\d+@p\.test>$/m)
  expect(mails[0]?.content).toContain('sync: 3 failures since')
  await send(email({ smtp: url, from: 'x@p.test', to: 'a@p.test', template: () => ({ subject: 'own', text: 'mine' }) }))
  expect(mails[1]?.content).toMatch(/Subject: own[^]*mine/)
})

it('each notifier names all its wrong options at once', () => {
  const wrong = { url: 'ftp://x', on: ['never'], name: 'a b', nmae: 1 } as never
  for (const make of [webhook, slack]) {
    expect(String(thrown(() => make(wrong)))).toMatch(
      /has 4 problems:\n {2}unknown option "nmae", did you mean "name"\?[^]*name is "a b"[^]*on\[0\] is "never"[^]*url is not a web address/,
    )
  }
  const mail = thrown(() => email({ smtp: 'hunter2' } as never))
  expect(String(mail)).toMatch(/has 3 problems[^]*smtp[^]*from[^]*to /)
  expect(String(mail)).not.toContain('hunter2')
})

describe('a receiver that misbehaves', () => {
  const given = notice()

  it('is not read to the end: neither an endless answer, nor a refusal of any size', async () => {
    const endless = (status: number) =>
      rawServer((request, response) => {
        request.resume()
        response.writeHead(status)
        const more = (): void => {
          while (!response.destroyed && response.write('x'.repeat(65_536)));
        }
        response.on('drain', more)
        more()
      })
    await send(webhook({ url: await endless(200) }))
    const refused = await Promise.resolve(send(slack({ url: await endless(500) }))).catch((error: unknown) => error)
    expect(String(refused)).toMatch(/^Error: http:\/\/127\.0\.0\.1:\d+ answered 500: x{200}$/)
  })

  it.each(['file:///etc/passwd', 'http://169.254.169.254/latest', '/elsewhere'])(
    'gets no request elsewhere by a redirect to %s',
    async (location) => {
      const asked: string[] = []
      const url = await rawServer((request, response) => {
        asked.push(request.url ?? '')
        response.writeHead(307, { location }).end()
      })
      const refused = await Promise.resolve(send(webhook({ url }))).catch((error: unknown) => error)
      expect(String(refused)).toMatch(/can't be reached: .*redirect/)
      expect(asked).toEqual(['/'])
    },
  )

  it('that hangs is left when the signal aborts: no connection stays, also in the middle of a mail', async () => {
    let closed = 0
    const open = new Set<Socket>()
    const mute = createServer((socket) => {
      open.add(socket)
      socket.on('error', () => {}).once('close', () => (closed += 1))
      // The beginning of a dialogue, and then silence.
      socket.write('220 mail.test ESMTP\r\n')
      socket.once('data', () => socket.write('250-mail.test\r\n'))
    })
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      for (const socket of open) socket.destroy()
      mute.close()
    })
    const address = `127.0.0.1:${(mute.address() as AddressInfo).port}`
    for (const notifier of [
      email({ smtp: `smtp://${address}`, from: 'a@p.test', to: 'b@p.test' }),
      webhook({ url: `http://${address}` }),
    ]) {
      const before = closed
      const signal = AbortSignal.timeout(300)
      await expect(Promise.resolve(notifier.send(given, { signal }))).rejects.toThrow()
      await expect.poll(() => closed).toBe(before + 1)
    }
  })

  it('names in a string can not become headers of a mail', async () => {
    const { url, mails } = await mailServer()
    const wild = notice({ jobs: [job({ jobId: 'a\r\nBcc: x@evil.test\r\n\r\n.\r\n{{b}}<i>' })] })
    await send(email({ smtp: url, from: 'x@p.test', to: 'a@p.test' }), wild)
    expect(mails).toHaveLength(1)
    expect(mails[0]?.to).toEqual(['a@p.test'])
    expect(mails[0]?.content.split('\n\n')[0]).not.toMatch(/^Bcc:/m)
  })
})

async function rawServer(answer: RequestListener): Promise<string> {
  const server = createHttpServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

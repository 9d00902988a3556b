import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { timeout } from '../../src/calls/timeout.ts'
import { turns } from '../support/turns.ts'
import { rejected } from '../support/thrown.ts'

describe('timeout', () => {
  it('closes the socket at the server, and rejects with TIMEOUT', async () => {
    const server = createServer()
    onTestFinished(() => void server.close())
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const connected = once(server, 'connection') as Promise<[Socket]>
    const calling = rejected(timeout((signal) => fetch(url, { signal }), '300ms'))
    const [socket] = await connected
    socket.on('error', () => {}).resume()
    const closed = once(socket, 'close')
    expect(await calling).toMatchObject({
      code: 'TIMEOUT',
      message: 'the call did not end within 300ms',
      details: { timeoutMs: 300 },
    })
    await closed
  })

  it('gives the function the error as the reason of its signal, and drops what it does later', async () => {
    const late = Promise.withResolvers<never>()
    let seen: AbortSignal | undefined
    const error = await rejected(
      timeout((signal) => {
        seen = signal
        return late.promise
      }, '1ms'),
    )
    expect(seen?.reason).toBe(error)
    late.reject(new Error('too late'))
    await turns(2)
  })

  it('passes on a result, an error and what is thrown immediately', async () => {
    let seen: AbortSignal | undefined
    const fn = async (signal: AbortSignal): Promise<string> => {
      seen = signal
      return 'done'
    }
    expect(await timeout(fn, '1d')).toBe('done')
    await turns(2)
    expect(seen?.aborted).toBe(false)
    await expect(timeout(() => Promise.reject(new Error('failed')), '1d')).rejects.toThrow('failed')
    const throwing = (): never => {
      throw new Error('at once')
    }
    await expect(timeout(throwing, '182500d')).rejects.toThrow('at once')
  })

  it('rejects immediately with the reason of its signal, which the function gets too', async () => {
    const controller = new AbortController()
    const reason = new Error('stopped')
    let seen: AbortSignal | undefined
    const calling = timeout(
      (signal) => {
        seen = signal
        return new Promise(() => {})
      },
      '1d',
      { signal: controller.signal },
    )
    controller.abort(reason)
    await expect(calling).rejects.toBe(reason)
    expect(seen?.reason).toBe(reason)
    let calls = 0
    await expect(timeout(() => calls++, '1d', { signal: controller.signal })).rejects.toBe(reason)
    expect(calls).toBe(0)
  })

  it.each(['0s', '5', 5, undefined, '-1s', '999999d'])('refuses a time of %s', async (time) => {
    const error = await rejected(timeout(() => 1, time as never))
    expect(error.code).toBe('USAGE')
    expect(error.message).toMatch(/^timeout: time is .*; expected /)
  })
})

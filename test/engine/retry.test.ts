import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { NoRetryError, RetryLaterError } from '../../src/run/retry-errors.ts'
import { RunFailedError } from '../../src/operations/runs/run-failed-error.ts'
import { nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

const retry = { limit: 3, base: '1ms', jitter: false } as const

describeEachStore((fixture) => {
  const attemptsUntilFailed = async (fail: (attempt: number) => never, more: object = {}): Promise<number> => {
    await fixture.open()
    await fixture.empty()
    const job = defineJob({ id: 'fails', retry: { ...retry, ...more } }, (ctx) => fail(ctx.attempt))
    const app = await startApp(fixture.options, job)
    const error: unknown = await app.run('fails', { wait: true }).catch((thrown: unknown) => thrown)
    // A second app with another handler must not share its runs with this one.
    await app.stop()
    expect(error).toBeInstanceOf(RunFailedError)
    return (error as RunFailedError).run.attempt
  }

  it('fails immediately on a NoRetryError', async () => {
    const attempts = await attemptsUntilFailed(() => {
      throw new NoRetryError('no such order')
    })
    expect(attempts).toBe(1)
  })

  it('calls retryIf, also for a timeout, and fails if retryIf throws', async () => {
    const seen: string[] = []
    const retryIf = (error: Error): boolean => {
      seen.push(error.message)
      return error.message !== 'second'
    }
    const fail = (attempt: number): never => {
      throw new Error(['first', 'second', 'third'][attempt - 1])
    }
    expect(await attemptsUntilFailed(fail, { retryIf })).toBe(2)
    expect(seen).toEqual(['first', 'second'])
    const broken = (): boolean => {
      throw new Error('broken')
    }
    expect(await attemptsUntilFailed(fail, { retryIf: broken })).toBe(1)
  })

  it('retries at the time of a RetryLaterError, and counts the attempt', async () => {
    await fixture.open()
    await fixture.empty()
    const at = new Date(Math.floor(Date.now() / 1_000) * 1_000 + 3_600_000)
    const job = defineJob({ id: 'later', retry: { limit: 1 } }, () => {
      throw new RetryLaterError('busy', { at })
    })
    const app = await startApp(fixture.options, job)
    const settled = nextEvent(app, 'run.settled')
    const { id } = await app.run('later')
    expect((await settled).retryInMs).toBeGreaterThan(3_000_000)
    expect(await app.runs.show(id)).toMatchObject({ state: 'queued', attempt: 1, runAt: at })
  })

  it('fails after the last attempt, even with a RetryLaterError', async () => {
    const attempts = await attemptsUntilFailed(() => {
      throw new RetryLaterError('busy', { after: '1ms' })
    })
    expect(attempts).toBe(4)
  })
})

import { describe, expect, it } from 'vitest'
import { task } from '../../src/service/decorators.ts'
import type { StopReason } from '../../src/service/lifecycle-parts.ts'
import { Service } from '../../src/service/service.ts'
import type { ServiceState } from '../../src/service/service-state.ts'
import { Recording } from '../support/recording-service.ts'
import { ManualServiceClock, quiet } from '../support/service-clock.ts'

class Plain extends Service {}

/** P with the children A and B. */
function family(hooks: string[] = []): { hooks: string[]; p: Recording; a: Recording; b: Recording } {
  const a = new Recording('A', hooks)
  const b = new Recording('B', hooks)
  return { hooks, a, b, p: new Recording('P', hooks, [a, b]) }
}

function states(service: Service): string[] {
  const seen: string[] = []
  service.observe({ stateChanged: (changed, from, to) => seen.push(`${changed.name} ${from}>${to}`) })
  return seen
}

describe('the hooks', () => {
  const started = [
    ...['P.first_start', 'P.start'],
    ...['A.first_start', 'A.start', 'A.started'],
    ...['B.first_start', 'B.start', 'B.started'],
    'P.started',
  ]
  const stopped = ['P.stop', 'B.stop', 'B.stopped', 'A.stop', 'A.stopped', 'P.stopped']

  it('run in the documented order at start and stop', async () => {
    const { hooks, p } = family()
    await p.start()
    expect(hooks.splice(0)).toEqual(started)
    await p.stop()
    expect(hooks).toEqual(stopped)
  })

  it('know at the stop whether it was requested or follows a crash', async () => {
    const reasons: (StopReason | undefined)[] = []
    class Curious extends Service {
      protected override onStop(why: StopReason): void {
        reasons.push(why)
      }
    }
    const p = new Curious()
    await p.start()
    await p.stop()
    await p.start()
    p.crash(new Error('it broke'))
    await p.stop()
    await p.start()
    await p.stop()
    expect(reasons).toEqual(['stop', 'crash', 'stop'])
  })

  it('are followed by the background tasks when the start awaits nothing', async () => {
    class Tasked extends Recording {
      @task
      async work(): Promise<void> {
        await this.record('work')
      }
    }
    const hooks: string[] = []
    const p = new Tasked('P', hooks, [new Tasked('A', hooks)])
    await p.start()
    await quiet()
    expect(hooks).toEqual([
      'P.first_start',
      'P.start',
      'A.first_start',
      'A.start',
      'A.started',
      'P.started',
      'P.work',
      'A.work',
    ])
    await p.stop()
  })

  it('call onRestart between stop and start, and onFirstStart only once', async () => {
    const { hooks, p } = family()
    await p.start()
    hooks.length = 0
    await p.restart()
    expect(hooks).toEqual([...stopped, 'P.restart', ...started.filter((hook) => !hook.endsWith('first_start'))])
    expect([p.restarts, p.children[0]?.restarts]).toEqual([1, 0])
    await p.stop()
  })

  it('still run after one fails at stop; the stop rejects and the service is stopped', async () => {
    const hooks: string[] = []
    class Failing extends Recording {
      protected override async onStop(): Promise<void> {
        await super.onStop()
        throw new Error(`${this.name} fails`)
      }
    }
    const p = new Failing('P', hooks, [new Recording('A', hooks), new Failing('B', hooks)])
    const seen = states(p)
    await p.start()
    p.defer(() => hooks.push('deferred'))
    hooks.length = seen.length = 0
    const error = await p.stop().catch((thrown: unknown) => thrown)
    expect(hooks).toEqual(['P.stop', 'B.stop', 'B.stopped', 'A.stop', 'A.stopped', 'deferred', 'P.stopped'])
    expect((error as AggregateError).errors.map(String)).toEqual(['Error: P fails', 'Error: B fails'])
    expect(seen).toEqual([
      ...['P running>stopping', 'P stopping>crashed'],
      ...['B running>stopping', 'B stopping>crashed', 'B crashed>stopped'],
      ...['A running>stopping', 'A stopping>stopped', 'P crashed>stopped'],
    ])
  })
})

describe('start', () => {
  it('rejects with the error of a failure, after all started parts have stopped', async () => {
    const hooks: string[] = []
    class Unable extends Recording {
      protected override async onStart(): Promise<void> {
        this.defer(() => hooks.push('B deferred'))
        throw new Error('no port')
      }
    }
    const p = new Recording('P', hooks, [new Recording('A', hooks), new Unable('B', hooks), new Recording('C', hooks)])
    await expect(p.start()).rejects.toThrow('no port')
    expect(hooks).toEqual([
      ...['P.first_start', 'P.start', 'A.first_start', 'A.start', 'A.started', 'B.first_start', 'B deferred'],
      ...['P.stop', 'A.stop', 'A.stopped', 'P.stopped'],
    ])
    expect(p.children.map((child) => child.state)).toEqual(['stopped', 'stopped', 'init'])
    expect([p.state, p.crashReason?.message]).toEqual(['stopped', 'no port'])
  })

  it('can be repeated after it failed', async () => {
    let tries = 0
    class Flaky extends Service {
      protected override onStart(): void {
        if (++tries === 1) throw new Error('not yet')
      }
    }
    const p = new Plain()
    p.addChild(new Flaky())
    await expect(p.start()).rejects.toThrow('not yet')
    await p.start()
    expect([p.state, p.crashReason]).toEqual(['running', undefined])
    await p.stop()
  })

  it('is refused while the service runs; maybeStart is not', async () => {
    const p = new Plain({ name: 'cache' })
    expect(await p.maybeStart()).toBe(true)
    expect(await p.maybeStart()).toBe(false)
    await expect(p.start()).rejects.toMatchObject({
      code: 'SERVICE_INVALID',
      message:
        'service "cache": start() was called while it is running; expected init or stopped; use maybeStart() or restart()',
    })
    await p.stop()
  })

  it('is abandoned by a stop, which stops the child that is just starting', async () => {
    const hooks: string[] = []
    class Waiting extends Recording {
      protected override async onStart(): Promise<void> {
        await super.onStart()
        await this.sleep('1h')
      }
    }
    const p = new Recording('P', hooks, [new Waiting('A', hooks), new Recording('B', hooks)])
    const start = p.start()
    await quiet()
    const stop = p.stop()
    await expect(start).rejects.toMatchObject({ code: 'STOPPED' })
    await stop
    expect(hooks).toEqual([
      'P.first_start',
      'P.start',
      'A.first_start',
      'A.start',
      'A.stop',
      'A.stopped',
      'P.stop',
      'P.stopped',
    ])
    expect([p, ...p.children].map((service) => service.state)).toEqual(['stopped', 'stopped', 'init'])
    expect(p.crashReason).toBeUndefined()
  })

  it('does not block a stop when it never ends; its late end does not disturb the next life', async () => {
    const clock = new ManualServiceClock()
    const hanging = Promise.withResolvers<void>()
    let starts = 0
    class Hanging extends Service {
      protected override async onStart(): Promise<void> {
        if (++starts === 1) await hanging.promise
      }
    }
    const p = new Hanging({ clock, taskGrace: '2s' })
    const stuck: string[] = []
    p.observe({ taskStuck: (service, name, waitedMs) => stuck.push(`${service.name} ${name} ${waitedMs}`) })
    const start = p.start()
    await quiet()
    const stop = p.stop()
    await clock.pass(2_000)
    await stop
    expect([p.state, stuck]).toEqual(['stopped', ['Hanging start 2000']])
    await p.start()
    hanging.reject(new Error('too late'))
    await expect(start).rejects.toMatchObject({ code: 'STOPPED' })
    expect([p.state, p.shouldStop]).toEqual(['running', false])
    await p.stop()
  })
})

describe('a crash', () => {
  it('aborts the signal with the reason and crashes the parents, but stops nothing by itself', async () => {
    const { hooks, p, a, b } = family()
    const top = new Plain({ name: 'Top' })
    top.addChild(p)
    await top.start()
    hooks.length = 0
    const seen = states(top)
    const reason = new Error('disk full')
    b.crash(reason)
    b.crash(new Error('a second one is ignored'))
    expect(seen).toEqual(['B running>crashed', 'P running>crashed', 'Top running>crashed'])
    expect([b, p, top].map((service) => service.crashReason)).toEqual([reason, reason, reason])
    expect([b.signal.reason, a.state, a.shouldStop, hooks]).toEqual([reason, 'running', false, []])
    await top.stop()
    expect(hooks).toEqual(['P.stop', 'B.stop', 'B.stopped', 'A.stop', 'A.stopped', 'P.stopped'])
    expect([top.state, b.state, b.crashReason]).toEqual(['stopped', 'stopped', reason])
  })

  it('during a start is the error of the start', async () => {
    class Early extends Service {
      protected override onStart(): void {
        this.crash(new Error('early'))
      }
    }
    const p = new Plain()
    p.addChild(new Early())
    await expect(p.start()).rejects.toThrow('early')
    expect(p.state).toBe('stopped')
  })

  it('of a running child while its sibling starts abandons the start of the parent', async () => {
    const first = new Plain({ name: 'first' })
    class Waiting extends Service {
      protected override async onStart(): Promise<void> {
        first.crash(new Error('gone'))
        await this.sleep('1h')
      }
    }
    const p = new Plain()
    p.addChild(first)
    p.addChild(new Waiting())
    await expect(p.start()).rejects.toThrow('gone')
    expect([p, ...p.children].map((service) => service.state)).toEqual(['stopped', 'stopped', 'stopped'])
  })

  it('stays the reason when the clean-up after it fails too', async () => {
    class Broken extends Service {
      protected override onStop(): void {
        throw new Error('while cleaning up')
      }
    }
    const p = new Broken()
    await p.start()
    p.crash(new Error('at first'))
    await expect(p.stop()).rejects.toThrow('while cleaning up')
    expect([p.state, p.crashReason?.message]).toEqual(['stopped', 'at first'])
  })

  it('is ignored before the start and after the stop', async () => {
    const p = new Plain()
    p.crash(new Error('x'))
    expect(p.state).toBe('init')
    await p.start()
    await p.stop()
    p.crash(new Error('x'))
    expect([p.state, p.crashReason]).toEqual(['stopped', undefined])
  })

  it('with a value that is not an Error becomes an Error', async () => {
    const p = new Plain()
    await p.start()
    p.crash('plain text')
    expect(p.crashReason?.message).toContain('plain text')
    await p.stop()
  })
})

describe('stop', () => {
  it('happens once for any number of calls, and does nothing before the start', async () => {
    const { hooks, p } = family()
    await p.stop()
    expect(p.state).toBe('init')
    await p.start()
    hooks.length = 0
    await Promise.all([p.stop(), p.stop(), p[Symbol.asyncDispose]()])
    await p.stop()
    expect(hooks).toHaveLength(6)
  })

  it('leads to a new signal at the next start', async () => {
    const p = new Plain()
    const first = p.signal
    await p.start()
    expect(p.signal).toBe(first)
    await p.stop()
    expect(first.aborted).toBe(true)
    await p.start()
    expect([p.signal === first, p.signal.aborted]).toEqual([false, false])
    await p.stop()
  })

  it('abandons a restart', async () => {
    const p = new (class Slow extends Recording {
      protected override async onStop(): Promise<void> {
        await quiet()
      }
    })('P', [])
    await p.start()
    const restart = p.restart()
    await p.stop()
    await expect(restart).rejects.toMatchObject({ code: 'STOPPED' })
    expect([p.state, p.restarts]).toEqual(['stopped', 0])
  })

  it('can be called by an observer of it', async () => {
    const p = new Plain()
    p.observe({ stateChanged: (service, _from, to) => to === 'stopping' && void service.stop() })
    await p.start()
    await p.stop()
    expect(p.state).toBe('stopped')
  })

  it('closes the whole exit stack in reverse, even when one callback fails', async () => {
    const closed: string[] = []
    const p = new Plain()
    await p.start()
    p.defer(() => closed.push('first'))
    p.use({ [Symbol.asyncDispose]: async () => void closed.push('async') })
    p.use({
      [Symbol.dispose]: () => {
        closed.push('failing')
        throw new Error('leak')
      },
    })
    p.defer(() => closed.push('last'))
    await expect(p.stop()).rejects.toThrow('leak')
    expect(closed).toEqual(['last', 'failing', 'async', 'first'])
    await p.start()
    await p.stop()
    expect(closed).toHaveLength(4)
  })

  it('happens at the end of an await using', async () => {
    const p = new Plain()
    {
      await using owned = p
      await owned.start()
      expect(p.isRunning).toBe(true)
    }
    expect(p.state).toBe('stopped')
  })
})

describe('waitUntilStopped', () => {
  it('resolves at the stop', async () => {
    const p = new Plain()
    const stopped = p.waitUntilStopped()
    await p.start()
    await p.stop()
    await stopped
    await p.waitUntilStopped()
  })

  it('rejects with the crash', async () => {
    const p = new Plain()
    await p.start()
    const stopped = p.waitUntilStopped()
    p.crash(new Error('broken'))
    await expect(stopped).rejects.toThrow('broken')
    await expect(p.waitUntilStopped()).rejects.toThrow('broken')
    await p.stop()
    await p.waitUntilStopped()
  })
})

describe('background tasks', () => {
  it('crash the service when they throw, and may return at any time', async () => {
    const p = new Plain()
    await p.start()
    p.addTask(() => undefined, 'quick')
    await quiet()
    expect([p.state, p.tasks]).toEqual(['running', []])
    p.addTask(async () => {
      throw new Error('task broke')
    })
    await expect(p.waitUntilStopped()).rejects.toThrow('task broke')
    await p.stop()
  })

  it('end on the signal, are awaited at the stop, and may throw its reason', async () => {
    const ends: string[] = []
    const p = new Plain()
    await p.start()
    p.addTask(async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      await quiet()
      ends.push('drained')
      signal.throwIfAborted()
    })
    await quiet()
    await p.stop()
    expect([ends, p.crashReason]).toEqual([['drained'], undefined])
  })

  it('that throw another error while stopping make the stop reject with it', async () => {
    const p = new Plain()
    await p.start()
    p.addTask(async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      throw new Error('could not flush')
    })
    await quiet()
    await expect(p.stop()).rejects.toThrow('could not flush')
    expect([p.state, p.crashReason?.message]).toEqual(['stopped', 'could not flush'])
  })

  it('that do not end are reported after the grace and left behind', async () => {
    const clock = new ManualServiceClock()
    const parent = new Plain({ clock, taskGrace: '3s' })
    const p = parent.addChild(new Plain({ name: 'child' }))
    const stuck: unknown[] = []
    parent.observe({ taskStuck: (...report) => stuck.push(report) })
    await parent.start()
    const deaf = Promise.withResolvers<void>()
    p.addTask(() => deaf.promise, 'deaf')
    await quiet()
    let isStopped = false
    const stop = parent.stop().then(() => (isStopped = true))
    await clock.pass(2_999)
    expect([isStopped, stuck]).toEqual([false, []])
    await clock.pass(1)
    await stop
    expect(stuck).toEqual([[p, 'deaf', 3_000]])
    await parent.start()
    deaf.reject(new Error('of a life long gone'))
    await quiet()
    expect(parent.state).toBe('running')
    await parent.stop()
  })

  it.each(['init', 'stopped', 'crashed'] satisfies ServiceState[])('are refused while it is %s', async (state) => {
    const p = new Plain()
    if (state !== 'init') await p.start()
    if (state === 'stopped') await p.stop()
    if (state === 'crashed') p.crash(new Error('x'))
    expect(() => p.addTask(() => undefined)).toThrow(`addTask() was called while it is ${state}`)
    await p.stop()
  })

  it('do not begin when the service stops in the same turn', async () => {
    let ran = false
    const p = new Plain()
    await p.start()
    p.addTask(() => (ran = true))
    await p.stop()
    expect(ran).toBe(false)
  })
})

describe('sleep', () => {
  it('returns true when the time has passed', async () => {
    const clock = new ManualServiceClock()
    const p = new Plain({ clock })
    await p.start()
    const slept = p.sleep('1.5s')
    await clock.pass(1_500)
    expect(await slept).toBe(true)
    await p.stop()
  })

  it.each(['stop', 'crash'])('returns false immediately on a %s', async (how) => {
    const p = new Plain()
    await p.start()
    const slept = p.sleep('1h')
    if (how === 'crash') p.crash(new Error('x'))
    const stopped = p.stop()
    expect(await slept).toBe(false)
    await stopped
  })

  it('ends in the task before the children stop', async () => {
    const hooks: string[] = []
    class Slow extends Recording {
      protected override async onStop(): Promise<void> {
        await quiet()
        await super.onStop()
      }
    }
    const p = new Recording('P', hooks, [new Slow('A', hooks)])
    await p.start()
    p.addTask(async () => {
      await p.sleep('1h')
      hooks.push('woken')
    })
    await quiet()
    hooks.length = 0
    await p.stop()
    expect(hooks).toEqual(['P.stop', 'woken', 'A.stop', 'A.stopped', 'P.stopped'])
  })
})

describe('the tree', () => {
  it('has paths, depths and unique ids, even for two services of one class', () => {
    const { p, a, b } = family()
    const [one, two] = [a.addChild(new Plain()), a.addChild(new Plain())]
    expect([p.path, b.path, one.path]).toEqual(['P', 'P/B', 'P/A/Plain'])
    expect([p.depth, b.depth, one.depth]).toEqual([0, 1, 2])
    expect(one.path).toBe(two.path)
    expect(one.id).not.toBe(two.id)
  })

  it('accepts and starts a child with startChild while it runs, and removes it again', async () => {
    const { p } = family()
    await p.start()
    expect(() => p.addChild(new Plain())).toThrow('use await startChild(…)')
    const late = await p.startChild(new Plain())
    expect([late.state, late.path]).toEqual(['running', 'P/Plain'])
    await p.removeChild(late)
    expect([late.state, late.parent, p.children.length]).toEqual(['stopped', undefined, 2])
    await p.stop()
  })

  it("does not keep a child that can't start, and continues", async () => {
    class Unable extends Service {
      protected override onStart(): void {
        throw new Error('unable')
      }
    }
    const { p } = family()
    await p.start()
    await expect(p.startChild(new Unable())).rejects.toThrow('unable')
    expect([p.state, p.children.length]).toEqual(['running', 2])
    await p.stop()
  })

  it('starts a child that is added in onStart or while an earlier one starts', async () => {
    const p = new (class P extends Service {
      protected override onStart(): void {
        this.addChild(new Plain())
      }
    })()
    await p.start()
    expect(p.children.map((child) => child.state)).toEqual(['running'])
    await p.stop()
  })

  it('starts its own children again after a restart, new ones or the same, each once', async () => {
    const seen: string[] = []
    class Child extends Service {
      protected override onStart(): void {
        seen.push(`${this.name} starts`)
      }
      protected override onStop(): void {
        seen.push(`${this.name} stops`)
      }
    }
    const p = new (class P extends Service {
      readonly #same = new Child({ name: 'same' })
      protected override async onStart(): Promise<void> {
        this.addChild(this.#same)
        await this.startChild(new Child({ name: 'new' }))
      }
    })()
    await p.start()
    const late = await p.startChild(new Child({ name: 'late' }))
    await p.restart()
    expect(seen.splice(0)).toEqual([
      ...['same starts', 'new starts', 'late starts', 'late stops', 'new stops', 'same stops'],
      ...['late starts', 'same starts', 'new starts'],
    ])
    expect(p.children.map(({ name, state }) => [name, state])).toEqual([
      ['late', 'running'],
      ['same', 'running'],
      ['new', 'running'],
    ])
    expect(late.parent).toBe(p)
    await p.stop()
  })

  it('refuses a child with a parent and one below itself', () => {
    const { p, a } = family()
    expect(() => new Plain().addChild(a)).toThrow('P/A was added but already has a parent')
    expect(() => a.addChild(p)).toThrow('P was added below itself')
  })

  it('reports everything below it to an observer until it is removed, whatever it throws', async () => {
    const { p } = family()
    let seen = 0
    const end = p.observe({
      stateChanged() {
        seen += 1
        throw new Error('observer broke')
      },
    })
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    await p.start()
    expect(seen).toBe(6)
    expect((await warned).message).toContain('observer broke')
    end()
    await p.stop()
    expect(seen).toBe(6)
  })
})

import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Service } from '../../src/service/service.ts'
import { type Strategy, Supervisor, type SupervisorOptions } from '../../src/service/supervisor.ts'
import { Recording } from '../support/recording-service.ts'
import { ManualServiceClock, quiet } from '../support/service-clock.ts'

class Plain extends Service {}

async function supervised(options: SupervisorOptions): Promise<{
  clock: ManualServiceClock
  hooks: string[]
  root: Service
  supervisor: Supervisor
  [Symbol.asyncDispose](): Promise<void>
}> {
  const clock = new ManualServiceClock()
  const hooks: string[] = []
  const supervisor = new Supervisor(
    ['A', 'B', 'C'].map((name) => new Recording(name, hooks)),
    { backoff: { base: '100ms', jitter: false }, ...options },
  )
  const root = new Plain({ name: 'Root', clock })
  root.addChild(supervisor)
  await root.start()
  hooks.length = 0
  return { clock, hooks, root, supervisor, [Symbol.asyncDispose]: () => root.stop() }
}

const of = (name: string, ...hooks: string[]): string[] => hooks.map((hook) => `${name}.${hook}`)
const stopped = (name: string): string[] => of(name, 'stop', 'stopped')
const restarted = (name: string): string[] => of(name, 'restart', 'start', 'started')

function child(supervisor: Supervisor, name: string): Service {
  const found = supervisor.children.find((service) => service.name === name)
  if (!found) throw new Error(`no ${name}`)
  return found
}

const EXPECTED: readonly (readonly [Strategy, string, readonly string[], readonly string[]])[] = [
  ['one-for-one', 'A', [...stopped('A'), ...restarted('A')], ['A1', 'B0', 'C0']],
  ['one-for-one', 'B', [...stopped('B'), ...restarted('B')], ['A0', 'B1', 'C0']],
  ['one-for-one', 'C', [...stopped('C'), ...restarted('C')], ['A0', 'B0', 'C1']],
  ...['A', 'B', 'C'].map(
    (name) =>
      [
        'one-for-all',
        name,
        [...['C', 'B', 'A'].flatMap(stopped), ...['A', 'B', 'C'].flatMap(restarted)],
        ['A1', 'B1', 'C1'],
      ] as const,
  ),
  [
    'rest-for-one',
    'A',
    [...['C', 'B', 'A'].flatMap(stopped), ...['A', 'B', 'C'].flatMap(restarted)],
    ['A1', 'B1', 'C1'],
  ],
  ['rest-for-one', 'B', [...['C', 'B'].flatMap(stopped), ...['B', 'C'].flatMap(restarted)], ['A0', 'B1', 'C1']],
  ['rest-for-one', 'C', [...stopped('C'), ...restarted('C')], ['A0', 'B0', 'C1']],
  ['forfeit-one-for-one', 'B', stopped('B'), ['A0', 'B0 stopped', 'C0']],
  ['forfeit-one-for-all', 'B', ['C', 'B', 'A'].flatMap(stopped), ['A0 stopped', 'B0 stopped', 'C0 stopped']],
]

it.each(EXPECTED)('%s, a crash of %s', async (strategy, name, hooks, after) => {
  await using tree = await supervised({ strategy })
  child(tree.supervisor, name).crash(new Error('x'))
  await tree.clock.pass(100)
  expect(tree.hooks).toEqual(hooks)
  expect(
    tree.supervisor.children.map(
      ({ name, restarts, state }) => `${name}${restarts}${state === 'running' ? '' : ` ${state}`}`,
    ),
  ).toEqual(after)
  expect([tree.supervisor.state, tree.root.state]).toEqual(['running', 'running'])
})

it.each([
  ['one-for-one', ['A0', 'B1', 'C0']],
  ['one-for-all', ['A1', 'B1', 'C1']],
  ['rest-for-one', ['A0', 'B1', 'C1']],
  ['forfeit-one-for-all', ['A0', 'B1', 'C0']],
  ['crashing', ['A0', 'B1', 'C0']],
] as const)('%s, a request to restart B', async (strategy, after) => {
  await using tree = await supervised({ strategy, maxRestarts: 0 })
  await tree.supervisor.restartChild(child(tree.supervisor, 'B'))
  expect(tree.supervisor.children.map(({ name, restarts }) => `${name}${restarts}`)).toEqual(after)
  expect(tree.supervisor.children.every(({ isRunning }) => isRunning)).toBe(true)
  await child(tree.supervisor, 'B').stop()
  await tree.supervisor.restartChild(child(tree.supervisor, 'B'))
  expect(child(tree.supervisor, 'B').isRunning).toBe(true)
})

it('a request whose restart fails rejects, and the supervisor restarts the service as after a crash', async () => {
  let failures = 1
  class Once extends Service {
    protected override onStart(): void {
      if (this.restarts > 0 && failures-- > 0) throw new Error('not yet')
    }
  }
  const clock = new ManualServiceClock()
  const once = new Once()
  const supervisor = new Supervisor([once], { clock, backoff: { base: '100ms', jitter: false } })
  await supervisor.start()
  await expect(supervisor.restartChild(once)).rejects.toThrow('not yet')
  await clock.pass(100)
  expect([once.state, supervisor.state]).toEqual(['running', 'running'])
  await supervisor.stop()
  await expect(supervisor.restartChild(once)).rejects.toMatchObject({ code: 'SERVICE_INVALID' })
})

it('a request during the pause after a crash restarts immediately, and only once', async () => {
  await using tree = await supervised({ strategy: 'one-for-one' })
  const b = child(tree.supervisor, 'B')
  b.crash(new Error('x'))
  await tree.supervisor.restartChild(b)
  await tree.clock.pass(1_000)
  expect([b.state, b.restarts]).toEqual(['running', 1])
})

it.each(['one-for-one', 'one-for-all'] as const)('%s, several requests at the same time', async (strategy) => {
  class Slow extends Service {
    protected override async onStart(): Promise<void> {
      await setImmediate()
    }
    protected override async onStop(): Promise<void> {
      await setImmediate()
    }
  }
  const slow = new Slow()
  const supervisor = new Supervisor([slow], { strategy })
  await supervisor.start()
  await Promise.all([1, 2, 3].map(() => supervisor.restartChild(slow)))
  expect([slow.state, slow.restarts]).toEqual(['running', 3])
  // The request must also get an answer if the supervisor stops before the restart begins.
  const refused = expect(supervisor.restartChild(slow)).rejects.toThrow('was stopped')
  await supervisor.stop()
  await refused
})

it('a request during the pause after a failed request restarts immediately', async () => {
  let failures = 1
  class Once extends Service {
    protected override onStart(): void {
      if (this.restarts > 0 && failures-- > 0) throw new Error('not yet')
    }
  }
  const clock = new ManualServiceClock()
  const once = new Once()
  const supervisor = new Supervisor([once], { clock, backoff: { base: '10s', jitter: false } })
  await supervisor.start()
  await expect(supervisor.restartChild(once)).rejects.toThrow('not yet')
  await supervisor.restartChild(once)
  const { restarts } = once
  await clock.pass(20_000)
  expect([once.state, once.restarts]).toEqual(['running', restarts])
  await supervisor.stop()
})

it('crashing passes the crash to the parent: nothing restarts', async () => {
  await using tree = await supervised({ strategy: 'crashing' })
  const reason = new Error('x')
  child(tree.supervisor, 'B').crash(reason)
  await tree.clock.pass(1_000)
  expect(tree.hooks).toEqual([])
  expect([tree.supervisor.crashReason, tree.root.crashReason]).toEqual([reason, reason])
})

describe('the window', () => {
  it('of 3 in 60 s allows exactly three restarts; the fourth crash escalates with its cause', async () => {
    await using tree = await supervised({ maxRestarts: 3, over: '60s' })
    const b = child(tree.supervisor, 'B')
    for (let crash = 1; crash <= 3; crash++) {
      b.crash(new Error(`crash ${crash}`))
      await tree.clock.pass(10_000)
      expect([b.state, b.restarts]).toEqual(['running', crash])
    }
    b.crash(new Error('crash 4'))
    await tree.clock.pass(1_000)
    expect([b.state, b.restarts]).toEqual(['crashed', 3])
    expect(tree.root.state).toBe('crashed')
    expect(tree.root.crashReason).toMatchObject({
      code: 'SERVICE_CRASHED',
      message: 'service "Root/Supervisor/B" crashed again after 3 restarts within 60s: crash 4',
      cause: { message: 'crash 4' },
    })
  })

  it('slides: a restart counts for exactly 60 s', async () => {
    await using tree = await supervised({ maxRestarts: 3, over: '60s', backoff: { base: '0s', jitter: false } })
    const [a, b] = [child(tree.supervisor, 'A'), child(tree.supervisor, 'B')]
    for (const service of [a, b, a]) {
      service.crash(new Error('x'))
      await tree.clock.pass(20_000)
    }
    // 60 s after the first crash, and again 20 s later.
    for (const service of [b, a]) {
      service.crash(new Error('x'))
      await tree.clock.pass(19_999)
      expect(tree.root.state).toBe('running')
      await tree.clock.pass(1)
    }
    a.crash(new Error('x'))
    await tree.clock.pass(19_999)
    expect(a.restarts + b.restarts).toBe(6)
    b.crash(new Error('one too many'))
    await quiet()
    expect(tree.root.crashReason?.message).toContain('one too many')
  })

  it("of 0 escalates the first crash; a group's restart counts once", async () => {
    await using none = await supervised({ maxRestarts: 0 })
    child(none.supervisor, 'A').crash(new Error('x'))
    await quiet()
    expect(none.root.state).toBe('crashed')
    await using group = await supervised({ maxRestarts: 1, strategy: 'one-for-all' })
    child(group.supervisor, 'A').crash(new Error('x'))
    await group.clock.pass(100)
    expect([group.root.state, child(group.supervisor, 'C').restarts]).toEqual(['running', 1])
  })
})

describe('the back-off', () => {
  it('doubles with each restart in the window, up to its maximum', async () => {
    await using tree = await supervised({
      maxRestarts: 5,
      over: '1h',
      backoff: { base: '100ms', max: '1s', jitter: false },
    })
    const b = child(tree.supervisor, 'B')
    for (const delayMs of [100, 200, 400, 800, 1_000]) {
      b.crash(new Error('x'))
      await tree.clock.pass(delayMs - 1)
      expect(b.state).toBe('stopped')
      await tree.clock.pass(1)
      expect(b.state).toBe('running')
    }
  })

  it('draws from the upper half with jitter', async () => {
    await using tree = await supervised({ backoff: { base: '1s' }, random: () => 0.5 })
    const b = child(tree.supervisor, 'B')
    b.crash(new Error('x'))
    await tree.clock.pass(749)
    expect(b.state).toBe('stopped')
    await tree.clock.pass(1)
    expect(b.state).toBe('running')
  })

  it('of one child does not delay another, one for one', async () => {
    await using tree = await supervised({ maxRestarts: 5 })
    const [a, b] = [child(tree.supervisor, 'A'), child(tree.supervisor, 'B')]
    a.crash(new Error('x'))
    await tree.clock.pass(50)
    b.crash(new Error('x'))
    await tree.clock.pass(50)
    expect([a.state, b.state]).toEqual(['running', 'stopped'])
    await tree.clock.pass(150)
    expect(b.state).toBe('running')
  })

  it('ends early at a stop', async () => {
    await using tree = await supervised({ backoff: { base: '1h' } })
    child(tree.supervisor, 'B').crash(new Error('x'))
    await quiet()
    tree.hooks.length = 0
    await tree.root.stop()
    expect(tree.hooks).toEqual(['C', 'A'].flatMap(stopped))
    expect([tree.root.crashReason, child(tree.supervisor, 'B').restarts]).toEqual([undefined, 0])
  })
})

/** Fails its start a given number of times. */
class Flaky extends Service {
  failures = 0

  protected override onStart(): void {
    if (this.failures === 0) return
    this.failures -= 1
    throw new Error(`${this.failures} to go`)
  }
}

describe('a restart that fails', () => {
  it('counts as the next crash and is repeated', async () => {
    await using tree = await supervised({ maxRestarts: 3 })
    const flaky = await tree.supervisor.startChild(new Flaky())
    flaky.failures = 2
    flaky.crash(new Error('x'))
    await tree.clock.pass(700, 100)
    expect([flaky.state, flaky.restarts, tree.root.state]).toEqual(['running', 3, 'running'])
  })

  it('escalates when it fails too often', async () => {
    await using tree = await supervised({ maxRestarts: 2, strategy: 'one-for-all' })
    const flaky = await tree.supervisor.startChild(new Flaky())
    flaky.failures = 9
    flaky.crash(new Error('x'))
    await tree.clock.pass(1_000, 100)
    expect(tree.root.crashReason).toMatchObject({ code: 'SERVICE_CRASHED', cause: { message: '7 to go' } })
  })
})

describe('the supervisor', () => {
  it('fails to start when a child fails in its first start', async () => {
    const flaky = new Flaky()
    flaky.failures = 1
    await expect(new Supervisor([flaky]).start()).rejects.toThrow('0 to go')
  })

  it('handles a crash during its start once it has started', async () => {
    const clock = new ManualServiceClock()
    const first = new Plain({ name: 'first' })
    class Second extends Service {
      protected override onStart(): void {
        if (first.restarts === 0) first.crash(new Error('early'))
      }
    }
    const supervisor = new Supervisor([first, new Second()], { clock })
    await supervisor.start()
    await clock.pass(100)
    expect([first.state, first.restarts]).toEqual(['running', 1])
    await supervisor.stop()
  })

  it('does not restart children that crash while it stops', async () => {
    class CrashesAtStop extends Service {
      protected override onStop(): void {
        throw new Error('at stop')
      }
    }
    await using tree = await supervised({})
    const broken = await tree.supervisor.startChild(new CrashesAtStop())
    const [a] = tree.supervisor.children
    tree.supervisor.observe({
      stateChanged: (service, _from, to) => service === broken && to === 'stopping' && a?.crash(new Error('too')),
    })
    await expect(tree.root.stop()).rejects.toThrow('at stop')
    await tree.clock.pass(10_000)
    expect([broken.state, broken.restarts, a?.state, a?.restarts]).toEqual(['stopped', 0, 'stopped', 0])
  })

  it('leaves a child stopped on purpose alone when its group restarts', async () => {
    await using tree = await supervised({ strategy: 'one-for-all' })
    await child(tree.supervisor, 'C').stop()
    tree.hooks.length = 0
    child(tree.supervisor, 'A').crash(new Error('x'))
    await tree.clock.pass(100)
    expect(tree.hooks).toEqual([...['B', 'A'].flatMap(stopped), ...['A', 'B'].flatMap(restarted)])
    expect(child(tree.supervisor, 'C').state).toBe('stopped')
  })

  it('restarts a group once for simultaneous crashes', async () => {
    await using tree = await supervised({ strategy: 'one-for-all' })
    for (const service of tree.supervisor.children) service.crash(new Error('x'))
    await tree.clock.pass(1_000, 100)
    expect(tree.supervisor.children.map((service) => service.restarts)).toEqual([1, 1, 1])
  })

  it('replaces the child at its place, with its count of restarts', async () => {
    const asked: unknown[] = []
    await using tree = await supervised({
      replacement: (crashed, index, error) => {
        asked.push([crashed.name, crashed.state, index, error.message])
        return new Recording(`${crashed.name}'`, tree.hooks)
      },
    })
    const b = child(tree.supervisor, 'B')
    b.crash(new Error('first'))
    await tree.clock.pass(100)
    child(tree.supervisor, "B'").crash(new Error('second'))
    await tree.clock.pass(200)
    expect(asked).toEqual([
      ['B', 'stopped', 1, 'first'],
      ["B'", 'stopped', 1, 'second'],
    ])
    expect(tree.supervisor.children.map(({ name, restarts }) => `${name}${restarts}`)).toEqual(['A0', "B''2", 'C0'])
    expect([b.parent, b.state]).toEqual([undefined, 'stopped'])
  })

  it('below another one restarts with all its children and an empty window', async () => {
    const clock = new ManualServiceClock()
    const leaf = new Plain({ name: 'leaf' })
    const inner = new Supervisor([leaf], { maxRestarts: 1, backoff: { base: '1s', jitter: false } })
    const outer = new Supervisor([inner], { backoff: { base: '1s', jitter: false }, clock })
    await outer.start()
    const told: string[] = []
    outer.observe({ restarted: (service, reason) => told.push(`${service.path} ${reason?.message}`) })
    for (const crash of ['one', 'two', 'three']) {
      leaf.crash(new Error(crash))
      await clock.pass(1_000)
    }
    expect([outer.state, inner.restarts, leaf.restarts, leaf.state]).toEqual(['running', 1, 2, 'running'])
    expect(told).toEqual([
      'Supervisor/Supervisor/leaf one',
      'Supervisor/Supervisor service "Supervisor/Supervisor/leaf" crashed again after 1 restart within 1m: two',
      'Supervisor/Supervisor/leaf three',
    ])
    await outer.stop()
  })

  it.each([
    [{ strategy: 'one-for-two' as 'one-for-one' }, 'strategy is "one-for-two"; expected one of one-for-one,'],
    [{ maxRestarts: -1 }, 'maxRestarts is -1; expected a whole number from 0, or Infinity'],
    [{ over: 'long' as '1s' }, 'over is "long"'],
  ])('refuses %o', (options, message) => {
    expect(() => new Supervisor([], options)).toThrow(message)
  })
})

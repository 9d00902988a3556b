import { expect, it } from 'vitest'
import { Service, type ServiceOptions } from '../../src/service/service.ts'
import { Supervisor, type SupervisorOptions } from '../../src/service/supervisor.ts'
import { Worker, type WorkerOptions } from '../../src/service/worker.ts'
import { loadSettings, type LoadSettingsOptions } from '../../src/settings/load.ts'

class Cache extends Service {
  constructor(options: ServiceOptions & { readonly stepTimeout?: string }) {
    super(options)
  }
}

class Own extends Supervisor {
  constructor(options: SupervisorOptions & { readonly strategyName?: string }) {
    super([], options)
  }
}

function problemsOf(make: () => unknown): { code: unknown; message: string; problems: unknown } {
  try {
    make()
  } catch (error) {
    const { code, message, details } = error as { code: unknown; message: string; details: { problems?: unknown } }
    return { code, message, problems: details.problems }
  }
  throw new Error('nothing was thrown')
}

const asking = <T>(options: object): T => options as T

it.each([
  [
    'a service',
    () => new Cache(asking({ name: 7, taskGrace: '5 seconds', task_grace: '1s', log: { info: () => {} } })),
    [
      'unknown option "task_grace", did you mean "taskGrace"?',
      'name is 7; expected a string',
      'log is {}; expected a log; it has no trace, debug, warn, error',
      'taskGrace is "5 seconds"; expected a number with a unit (ms, s, m, h, d), such as "10s" or "1h30m"',
    ],
  ],
  [
    'a supervisor',
    () =>
      new Supervisor(
        asking([new Cache({}), Cache]),
        asking({ stategy: 'one-for-all', maxRestarts: 1.5, over: 10, backoff: { bace: '1s', max: 3 }, random: 0.5 }),
      ),
    [
      'children[1] is function Cache; expected a service',
      'unknown option "stategy", did you mean "strategy"?',
      'maxRestarts is 1.5; expected a whole number from 0, or Infinity',
      'over is 10; expected a number with a unit (ms, s, m, h, d), such as "10s" or "1h30m"',
      expect.stringMatching(/^backoff is wrong: unknown option "bace", did you mean "base"\?; max is 3; expected/),
      'random is 0.5; expected a function',
    ],
  ],
  [
    'a worker',
    () => new Worker(asking(new Cache({})), asking({ stopDeadLine: '3s', print: 'stderr', timeout: '1s' })),
    [
      expect.stringMatching(/^services is .*; expected a list of services$/),
      'unknown option "stopDeadLine", did you mean "stopDeadline"?',
      expect.stringMatching(/^unknown option "timeout"/),
      'print is "stderr"; expected a function',
    ],
  ],
])('names all problems of the options of %s', (_, make, problems) => {
  const thrown = problemsOf(make)
  expect(thrown.code).toBe('SERVICE_INVALID')
  expect(thrown.problems).toEqual(problems)
})

it("ignores options that a user's class has of its own", () => {
  const options = { name: 'cache', stepTimeout: '1s' }
  expect(new Cache(options).name).toBe('cache')
  expect(new Own({ strategyName: 'mine' }).strategy).toBe('one-for-one')
  expect(problemsOf(() => new Own(asking({ max_restarts: 3 }))).message).toContain('did you mean "maxRestarts"?')
})

it('names all problems of the options of loadSettings', () => {
  const options = asking<LoadSettingsOptions>({ cwd: 1, enviroment: {}, overrides: 'piko.log_level=info' })
  expect(problemsOf(() => loadSettings(options))).toMatchObject({
    code: 'USAGE',
    problems: [
      'unknown option "enviroment"; the options are cwd, env, file, overrides',
      'cwd is 1; expected a string',
      'overrides is "piko.log_level=info"; expected an object',
    ],
  })
  expect(problemsOf(() => loadSettings(asking([]))).message).toMatch(/^loadSettings: the options are/)
  const none: WorkerOptions = {}
  expect(() => new Worker([], none)).not.toThrow()
})

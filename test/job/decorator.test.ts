import { describe, expect, it, onTestFinished } from 'vitest'
import type { JobContext } from '../../src/job/context.ts'
import { job } from '../../src/job/decorator.ts'
import { jobsOf } from '../../src/job/jobs-of.ts'
import type { JobDefinition, JobSpec } from '../../src/job/spec.ts'
import { thrown } from '../support/thrown.ts'

const ctx = { attempt: 1 } as JobContext

function ids(source: object): string[] {
  return jobsOf(source).map((found) => found.id)
}

function only(source: object): JobDefinition {
  const [found, ...more] = jobsOf(source)
  if (!found || more.length > 0) throw new Error(`expected one job, got ${more.length + 1}`)
  return found
}

/** The output of a compiler for `@decorator name() {}` with experimentalDecorators. */
function applyLegacy(home: object, name: string, ...decorators: ReturnType<typeof job>[]): void {
  for (const decorate of decorators.toReversed()) {
    const descriptor = Object.getOwnPropertyDescriptor(home, name)
    ;(decorate as (home: object, name: string, descriptor: unknown) => void)(home, name, descriptor)
  }
}

describe('jobsOf', () => {
  it('binds every handler of a class to one new instance, and passes context and resources', async () => {
    const instances = new Set<object>()
    class Jobs {
      readonly prefix: string = 'mine'
      @job({ id: 'a' })
      async first(ctx: JobContext, resources: object) {
        instances.add(this)
        return [this.prefix, ctx.attempt, resources]
      }
      @job({ id: 'b' })
      async second() {
        instances.add(this)
      }
    }
    const [first, second] = jobsOf(Jobs)
    expect(await first?.handler(ctx, { db: 1 })).toEqual(['mine', 1, { db: 1 }])
    await second?.handler(ctx, {})
    expect(instances.size).toBe(1)
  })

  it('binds to the given instance, and statics to the class', async () => {
    class Jobs {
      static readonly place: string = 'class'
      readonly place: string
      constructor(place: string) {
        this.place = place
      }
      @job({ id: 'a' })
      async own() {
        return this.place
      }
      @job({ id: 'b' })
      static async shared() {
        return this.place
      }
    }
    const made = jobsOf(new Jobs('instance'))
    expect(await Promise.all(made.map((found) => found.handler(ctx, {})))).toEqual(['instance', 'class'])
  })

  it('does not construct a class with only static jobs', () => {
    class Jobs {
      constructor() {
        throw new Error('constructed')
      }
      @job({ id: 'a' })
      static async shared() {}
    }
    expect(ids(Jobs)).toEqual(['a'])
  })

  it('finds private members, symbols and getters without running them', async () => {
    const name = Symbol('job')
    class Jobs {
      #secret = 42
      #hidden() {
        return this.#secret
      }
      get trap(): never {
        throw new Error('a getter was invoked')
      }
      static get trap(): never {
        throw new Error('a getter was invoked')
      }
      @job({ id: 'a' })
      async [name]() {
        return this.#hidden()
      }
    }
    expect(await only(Jobs).handler(ctx, {})).toBe(42)
  })

  it('calls the method that its instance has bound or wrapped', async () => {
    class Jobs {
      constructor() {
        const inner = this.run.bind(this)
        this.run = async () => `wrapped ${await inner()}`
      }
      @job({ id: 'a' })
      async run() {
        return 'run'
      }
    }
    expect(await only(Jobs).handler(ctx, {})).toBe('wrapped run')
  })

  it('makes two jobs of a method with two decorators, in source order', () => {
    class Jobs {
      @job({ id: 'eu' })
      @job({ id: 'us' })
      async run() {}
    }
    expect(ids(Jobs)).toEqual(['eu', 'us'])
    class Legacy {
      async run() {}
    }
    applyLegacy(Legacy.prototype, 'run', job({ id: 'eu' }), job({ id: 'us' }))
    expect(ids(Legacy)).toEqual(['eu', 'us'])
  })

  it('advises an instance for a class that needs arguments', () => {
    class Jobs {
      readonly url: string
      constructor(url: string) {
        this.url = url
      }
      @job({ id: 'a' })
      async run() {}
    }
    const error = thrown(() => jobsOf(Jobs))
    expect(error.code).toBe('JOB_INVALID')
    expect(error.message).toMatch(/^class Jobs: its constructor needs arguments; register an instance instead/)
  })

  it('keeps the cause when a constructor throws', () => {
    const cause = new Error('no token')
    class Jobs {
      constructor() {
        throw cause
      }
      @job({ id: 'a' })
      async run() {}
    }
    const error = thrown(() => jobsOf(Jobs))
    expect(error.code).toBe('JOB_INVALID')
    expect(error.message).toMatch(/^class Jobs: its constructor threw "no token"; register an instance instead/)
    expect(error.cause).toBe(cause)
  })

  it('refuses a class without jobs', () => {
    class Nothing {
      async run() {}
    }
    expect(() => jobsOf(Nothing)).toThrow('class Nothing has no method with @job')
    expect(() => jobsOf(new Nothing())).toThrow('class Nothing has no method with @job')
    expect(() => jobsOf({ id: 'a' })).toThrow('{"id":"a"} is neither a class nor an instance of one')
  })

  it.each([
    [{ id: 'a', cron: 'every day' }, 'SCHEDULE_INVALID'],
    [{ id: 'a', timeout: '10' as '10s' }, 'DURATION_INVALID'],
    [{ id: 'a b' }, 'JOB_INVALID'],
    [{} as JobSpec, 'JOB_INVALID'],
  ])('names class and method when the spec %j is wrong', (spec, code) => {
    class Jobs {
      @job(spec)
      async run() {}
    }
    const error = thrown(() => jobsOf(Jobs))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(/^Jobs\.run: ./)
    expect(error.details).toMatchObject({ class: 'Jobs', method: 'run' })
  })
})

describe('a subclass', () => {
  class Base {
    readonly who: string = 'base'
    @job({ id: 'sync' })
    async sync() {
      return `sync by ${this.who}`
    }
    @job({ id: 'shared' })
    static async shared() {
      return this.name
    }
  }

  it("inherits its parent's jobs, run on itself", async () => {
    class Derived extends Base {
      override readonly who: string = 'derived'
    }
    const made = jobsOf(Derived)
    expect(made.map((found) => found.id)).toEqual(['sync', 'shared'])
    expect(await Promise.all(made.map((found) => found.handler(ctx, {})))).toEqual(['sync by derived', 'Derived'])
  })

  it('adds jobs that its parent does not have', () => {
    class Derived extends Base {
      @job({ id: 'more' })
      async more() {}
    }
    expect(ids(Derived)).toEqual(['sync', 'more', 'shared'])
    expect(ids(Base)).toEqual(['sync', 'shared'])
  })

  it('that overrides a job without @job keeps its spec and runs the override', async () => {
    class Derived extends Base {
      override async sync() {
        return `override of ${await super.sync()}`
      }
    }
    const [sync] = jobsOf(Derived)
    expect([sync?.id, await sync?.handler(ctx, {})]).toEqual(['sync', 'override of sync by base'])
  })

  it('that overrides a job with @job replaces its spec', async () => {
    class Derived extends Base {
      @job({ id: 'derived.sync', every: '1h' })
      override async sync() {
        return 'derived'
      }
    }
    expect(ids(Derived)).toEqual(['derived.sync', 'shared'])
    expect(ids(Base)).toEqual(['sync', 'shared'])
  })

  it('must not override a job with a getter', () => {
    class Derived extends Base {}
    Object.defineProperty(Derived.prototype, 'sync', { get: () => expect.unreachable() })
    expect(() => jobsOf(Derived)).toThrow(
      'Derived.sync: a subclass overrides the job with something that is not a method',
    )
  })
})

describe('@job refuses', () => {
  // The compiler refuses these; JavaScript does not.
  const loose = job as (spec: unknown) => (...args: unknown[]) => undefined
  const message = (what: string) => `job "a": @job is on ${what}; expected a public method`

  it('a private method', () => {
    expect(() => {
      class Jobs {
        @loose({ id: 'a' })
        async #run() {}
        run = () => this.#run()
      }
      return Jobs
    }).toThrow(message('"#run", a private method'))
  })

  it('a field, a getter and a class', () => {
    expect(() => {
      class Jobs {
        @loose({ id: 'a' })
        run = 1
      }
      return Jobs
    }).toThrow(message('"run", a field'))
    expect(() => {
      class Jobs {
        @loose({ id: 'a' })
        get run() {
          return 1
        }
      }
      return Jobs
    }).toThrow(message('"run", a getter'))
    expect(() => {
      @loose({ id: 'a' })
      class Jobs {}
      return Jobs
    }).toThrow(message('"Jobs", a class'))
  })

  it('a field, an accessor and a class in legacy mode', () => {
    class Jobs {
      get run() {
        return 1
      }
    }
    expect(() => loose({ id: 'a' })(Jobs.prototype, 'field', undefined)).toThrow(message('"field", a field'))
    const accessor = Object.getOwnPropertyDescriptor(Jobs.prototype, 'run')
    expect(() => loose({ id: 'a' })(Jobs.prototype, 'run', accessor)).toThrow(message('"run", an accessor'))
    expect(() => loose({ id: 'a' })(Jobs)).toThrow(message('function Jobs'))
  })

  it('a value that is not a spec', () => {
    expect(() => loose('sync')).toThrow('@job got "sync"; expected a spec')
  })
})

describe('under a decorator that replaces the method', () => {
  type AsyncMethod = () => Promise<void>
  const timed = (method: AsyncMethod, _context: ClassMethodDecoratorContext): AsyncMethod =>
    async function (this: unknown) {
      await method.call(this as never)
    }
  const problem = {
    code: 'JOB_INVALID',
    message: 'Jobs.run: another decorator replaced the method after @job saw it; write @job above the others',
  }

  it('an instance job is refused when the class is constructed', () => {
    class Jobs {
      @timed
      @job({ id: 'a' })
      async run() {}
    }
    expect(thrown(() => new Jobs())).toMatchObject(problem)
  })

  it('a static job is refused when the class is defined', () => {
    const error = thrown(() => {
      class Jobs {
        @timed
        @job({ id: 'a' })
        static async run() {}
      }
      return Jobs
    })
    expect(error).toMatchObject(problem)
  })

  it('a legacy job is refused when the class is registered', () => {
    class Jobs {
      async run() {}
    }
    applyLegacy(Jobs.prototype, 'run', job({ id: 'a' }))
    Jobs.prototype.run = async () => undefined
    expect(thrown(() => jobsOf(Jobs))).toMatchObject(problem)
  })

  it('@job works when it is the outermost', async () => {
    class Jobs {
      @job({ id: 'a' })
      @timed
      async run() {}
    }
    expect(ids(Jobs)).toEqual(['a'])
  })
})

it('works where Symbol.metadata exists', () => {
  const descriptor = Object.getOwnPropertyDescriptor(Symbol, 'metadata')
  Object.defineProperty(Symbol, 'metadata', { value: Symbol('metadata'), configurable: true })
  onTestFinished(() => {
    if (descriptor) Object.defineProperty(Symbol, 'metadata', descriptor)
    else Reflect.deleteProperty(Symbol, 'metadata')
  })
  class Base {
    @job({ id: 'a' })
    async run() {}
  }
  class Derived extends Base {
    @job({ id: 'b' })
    async more() {}
  }
  expect([ids(Base), ids(Derived)]).toEqual([['a'], ['a', 'b']])
})

import { describe, expect, it } from 'vitest'
import { job } from '../../src/job/decorator.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { JobContext } from '../../src/job/context.ts'
import { JobRegistry } from '../../src/job/registry.ts'
import { thrown } from '../support/thrown.ts'

const ctx = {} as JobContext

const hello = defineJob({ id: 'hello' }, () => 'hello')
const world = defineJob({ id: 'world' }, () => 'world')

class Jobs {
  static made = 0
  readonly number: number
  constructor() {
    this.number = ++Jobs.made
  }
  @job({ id: 'jobs.a' })
  async a() {
    return this.number
  }
  @job({ id: 'jobs.b' })
  async b() {
    return this.number
  }
}

/** A module namespace, as `import * as` returns it. */
function namespace(exports: Record<string, unknown>): object {
  return Object.assign(Object.create(null, { [Symbol.toStringTag]: { value: 'Module' } }) as object, exports)
}

describe('JobRegistry.of', () => {
  it('accepts definitions, classes, instances, arrays of them and modules, in order', () => {
    class Given {
      @job({ id: 'given' })
      async run() {}
    }
    const registry = JobRegistry.of(hello, [Jobs, [new Given()]], namespace({ world }))
    expect(registry.ids).toEqual(['hello', 'jobs.a', 'jobs.b', 'given', 'world'])
    expect(registry.size).toBe(5)
    expect([...registry].map((found) => found.id)).toEqual(registry.ids)
    expect(registry.get('hello')).toBe(hello)
    expect(registry.find('world')).toBe(world)
  })

  it('can be empty', () => {
    expect(JobRegistry.of().size).toBe(0)
  })

  it('constructs a class once, even when several sources have it', async () => {
    const before = Jobs.made
    const registry = JobRegistry.of(Jobs, [Jobs], namespace({ Jobs, Renamed: Jobs }))
    expect(Jobs.made).toBe(before + 1)
    expect(await registry.get('jobs.a').handler(ctx, {})).toBe(await registry.get('jobs.b').handler(ctx, {}))
  })

  it('constructs a class again for another registry', async () => {
    const [one, two] = [JobRegistry.of(Jobs), JobRegistry.of(Jobs)]
    expect(await one.get('jobs.a').handler(ctx, {})).not.toBe(await two.get('jobs.a').handler(ctx, {}))
  })

  it('uses an instance in place of its class', async () => {
    class Url {
      readonly url: string
      constructor(url: string) {
        this.url = url
      }
      @job({ id: 'url' })
      async run() {
        return this.url
      }
    }
    const registry = JobRegistry.of(namespace({ Url, made: new Url('given') }))
    expect(await registry.get('url').handler(ctx, {})).toBe('given')
  })

  it('accepts the same definition once', () => {
    expect(JobRegistry.of(hello, namespace({ hello, again: hello })).ids).toEqual(['hello'])
  })

  it.each(['job', { id: 'a' }, null, 42, () => undefined])('refuses %j as a source', (source) => {
    expect(thrown(() => JobRegistry.of(source as object)).code).toBe('JOB_INVALID')
  })

  it('says which source it refuses', () => {
    expect(() => JobRegistry.of(hello, ['job'])).toThrow(
      'source 2[0] is "job"; expected a job definition, a class or an instance with @job methods, or a module of these',
    )
  })

  it('refuses a class without jobs', () => {
    class Nothing {}
    expect(() => JobRegistry.of(Nothing)).toThrow('class Nothing has no method with @job')
  })
})

describe('of a module', () => {
  it('accepts definitions, classes, instances and arrays, and ignores everything else', () => {
    const trap = new Proxy(
      {},
      {
        get: () => expect.unreachable('a proxy was read'),
        has: () => expect.unreachable('a proxy was asked'),
      },
    )
    const exports = {
      hello,
      Jobs,
      list: [world],
      Helper: class Helper {},
      helper: () => hello,
      text: 'hello',
      nothing: null,
      settings: { id: 'no job' },
      trap,
      get late() {
        return 1
      },
    }
    expect(JobRegistry.of(namespace(exports)).ids).toEqual(['hello', 'jobs.a', 'jobs.b', 'world'])
  })

  it('can have no job', () => {
    expect(JobRegistry.of(namespace({ helper: 1 }), { kind: 'piko.module', file: 'a.ts', exports: {} }).size).toBe(0)
  })

  it('finds a CommonJS default export', () => {
    const exports = { hello, Jobs }
    expect(JobRegistry.of(namespace({ default: exports, 'module.exports': exports })).ids).toEqual([
      'hello',
      'jobs.a',
      'jobs.b',
    ])
    expect(JobRegistry.of(Object.defineProperty({ hello }, '__esModule', { value: true })).ids).toEqual(['hello'])
  })

  it('reports a class whose only job another decorator hid', () => {
    const hide = (_method: () => Promise<void>, _context: ClassMethodDecoratorContext) => async (): Promise<void> =>
      undefined
    class Hidden {
      @hide
      @job({ id: 'hidden' })
      async run() {}
    }
    expect(() => JobRegistry.of(namespace({ Hidden }))).toThrow('Hidden.run: another decorator replaced the method')
  })
})

describe('duplicate ids', () => {
  const twin = defineJob({ id: 'hello' }, () => 'twin')

  class Hello {
    @job({ id: 'hello' })
    async say() {}
  }

  it.each<[string, object[], string]>([
    ['two definitions', [hello, twin], 'by source 1 and by source 2'],
    ['a definition and a method', [hello, Hello], 'by source 1 and by Hello.say'],
    [
      'two modules',
      [
        { kind: 'piko.module', file: 'jobs/a.ts', exports: { hello } },
        { kind: 'piko.module', file: 'jobs/b.ts', exports: { Hello } },
      ],
      'by export "hello" in jobs/a.ts and by Hello.say in jobs/b.ts',
    ],
    ['two instances of one class', [new Hello(), new Hello()], 'by Hello.say and by Hello.say'],
  ])('of %s are refused, with both origins', (_what, sources, origins) => {
    const error = thrown(() => JobRegistry.of(...sources))
    expect(error.code).toBe('JOB_DUPLICATE')
    expect(error.message).toBe(`job "hello" is defined twice, ${origins}; ids must be unique`)
  })

  it('within one class are refused', () => {
    class Twice {
      @job({ id: 'same' })
      async a() {}
      @job({ id: 'same' })
      async b() {}
    }
    expect(() => JobRegistry.of(Twice)).toThrow('job "same" is defined twice, by Twice.a and by Twice.b')
  })
})

describe('a parent and its subclass', () => {
  class Base {
    @job({ id: 'inherited' })
    async run() {
      return this.constructor.name
    }
    @job({ id: 'inherited.static' })
    static async shared() {
      return this.name
    }
  }
  class Derived extends Base {
    @job({ id: 'own' })
    async own() {
      return this.constructor.name
    }
  }

  it.each([
    ['parent first', [Base, Derived]],
    ['subclass first', [Derived, Base]],
  ])('share an inherited job, which belongs to the subclass (%s)', async (_order, sources) => {
    const registry = JobRegistry.of(...sources)
    expect(registry.ids.toSorted()).toEqual(['inherited', 'inherited.static', 'own'])
    for (const found of registry) expect(await found.handler(ctx, {})).toBe('Derived')
  })

  it('do not construct a parent without jobs of its own', () => {
    abstract class Abstract {
      constructor() {
        if (new.target === Abstract) throw new Error('abstract')
      }
      @job({ id: 'template' })
      async run() {}
    }
    class Concrete extends Abstract {}
    expect(JobRegistry.of(namespace({ Abstract, Concrete })).ids).toEqual(['template'])
  })

  it('clash when the subclass overrides the job and keeps its id', () => {
    class Overriding extends Base {
      override async run() {
        return 'override'
      }
    }
    expect(() => JobRegistry.of(Base, Overriding)).toThrow(
      'job "inherited" is defined twice, by Base.run and by Overriding.run',
    )
  })

  it('coexist when the override has its own spec', () => {
    class Overriding extends Base {
      @job({ id: 'replaced' })
      override async run() {
        return 'override'
      }
    }
    expect(JobRegistry.of(Base, Overriding).ids).toEqual(['inherited', 'inherited.static', 'replaced'])
  })

  it('clash with a sibling that inherits the same job', () => {
    class Sibling extends Base {}
    expect(() => JobRegistry.of(Derived, Sibling)).toThrow(
      'job "inherited" is defined twice, by Derived.run and by Sibling.run',
    )
  })
})

describe('an unknown id', () => {
  const registry = JobRegistry.of(hello, world)

  it('is undefined for find', () => {
    expect(registry.find('nope')).toBeUndefined()
  })

  it('gets the list and the nearest id as a suggestion', () => {
    const error = thrown(() => registry.get('helo'))
    expect(error.code).toBe('JOB_UNKNOWN')
    expect(error.message).toBe('no job has the id "helo", did you mean "hello"?; the jobs are hello, world')
  })

  it('gets no suggestion when no id is near', () => {
    expect(() => registry.get('something_else')).toThrow(
      'no job has the id "something_else"; the jobs are hello, world',
    )
  })

  it('gets a list of limited length', () => {
    const many = JobRegistry.of(
      Array.from({ length: 30 }, (_, index) => defineJob({ id: `job.${index}` }, () => index)),
    )
    expect(() => many.get('x')).toThrow(/job\.0, job\.1, .*job\.19 and 10 more$/)
  })

  it('gets a message of its own when there is no job at all', () => {
    expect(() => JobRegistry.of().get('x')).toThrow('no job has the id "x"; no job is registered')
  })
})

import 'reflect-metadata'
import { Controller, type DynamicModule, Inject, Injectable, Module, Scope } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { INestApplicationContext } from '@nestjs/common'
import { expect, it, onTestFinished } from 'vitest'
import { job } from '../../src/job/decorator.ts'
import type { JobContext } from '../../src/job/context.ts'
import { Piko } from '../../src/app/piko.ts'
import { PikoModule } from '../../src/nest/index.ts'
import { Resource } from '../../src/resource/resource.ts'
import { Service } from '../../src/service/service.ts'
import { createSqliteFile } from '../support/databases.ts'
import { rejected, thrown } from '../support/thrown.ts'

class Shop {
  name = 'corner shop'
}

class Greetings {
  readonly #shop: Shop
  constructor(shop: Shop) {
    this.#shop = shop
  }

  @job({ id: 'greet' })
  greet(): string {
    return `welcome to the ${this.#shop.name}`
  }
}
Inject(Shop)(Greetings, undefined, 0)

let opened = 0
class Till extends Resource<string> {
  readonly shop: Shop
  constructor(shop: Shop) {
    super()
    this.shop = shop
  }

  override open(): void {
    opened += 1
  }

  async *acquire(): AsyncGenerator<string, void, void> {
    yield `till of the ${this.shop.name}`
  }
}
Inject(Shop)(Till, undefined, 0)

const notes: string[] = []

class Clerk extends Service {
  protected override onStart(): void {
    notes.push('clerk starts')
  }
}

/** A provider with every hook. */
class Database {
  onModuleInit(): void {
    notes.push('database init')
  }
  onApplicationBootstrap(): void {
    notes.push('database bootstrap')
  }
  onModuleDestroy(): void {
    notes.push('database destroy')
  }
}

class Sales {
  @job({ id: 'sell', resources: { till: Till } })
  sell(ctx: JobContext<{ till: typeof Till }>): string {
    return ctx.resources.till
  }

  @job({ id: 'slow' })
  async slow({ signal }: JobContext): Promise<void> {
    notes.push('slow begins')
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    notes.push('slow ends')
    signal.throwIfAborted()
  }
}
Controller('sales')(Sales)
Injectable()(Shop)

const settings = (): { piko: object; sqlite: { path: string } } => {
  const { path, remove } = createSqliteFile()
  onTestFinished(remove)
  return { piko: { log_level: 'silent', shutdown_timeout: '0s', block_threshold: '0s' }, sqlite: { path } }
}

/** Starts an application whose root module imports the others. */
const start = async (root: Partial<DynamicModule>): Promise<INestApplicationContext> => {
  class Root {}
  Module({})(Root)
  const app = await NestFactory.createApplicationContext(
    { module: Root, ...root },
    { logger: false, abortOnError: false },
  )
  onTestFinished(() => app.close())
  return app
}

it('runs the jobs of providers and controllers on their own instances, with the app injected anywhere', async () => {
  class Far {
    readonly piko: Piko
    constructor(piko: Piko) {
      this.piko = piko
    }
  }
  Inject(Piko)(Far, undefined, 0)
  class FarModule {}
  Module({ providers: [Far, Greetings, Shop], exports: [Far, Shop] })(FarModule)
  const app = await start({
    imports: [PikoModule.forRoot({ settings: settings() }), FarModule],
    controllers: [Sales],
    // The same class in two modules has one job.
    providers: [Greetings, Till],
  })
  const { piko } = app.get(Far)
  expect(piko).toBe(app.get(Piko))
  expect(piko.registry.ids.toSorted()).toEqual(['greet', 'sell', 'slow'])
  app.get(Shop).name = 'big shop'
  expect((await piko.run('greet', { wait: true })).output).toBe('welcome to the big shop')
  const before = opened
  expect((await piko.run('sell', { wait: true })).output).toBe('till of the big shop')
  expect(opened).toBe(before + 1)
})

it('uses a given value instead of a resource, and refuses one whose arguments nobody gives', async () => {
  const fake = {
    acquire: async function* () {
      yield 'a fake'
    },
  }
  const app = await start({
    imports: [PikoModule.forRoot({ settings: settings() })],
    controllers: [Sales],
    providers: [{ provide: Till, useValue: fake }],
  })
  expect((await app.get(Piko).run('sell', { wait: true })).output).toBe('a fake')
  const without = await start({ imports: [PikoModule.forRoot({ settings: settings() })], controllers: [Sales] })
  const error = await rejected(without.get(Piko).run('sell', { wait: true }))
  expect(`${error.message} ${String(error.cause)}`).toMatch(/Till needs arguments .*add it to the providers/)
})

it('starts after all other hooks and stops before them, with the services of the providers', async () => {
  notes.length = 0
  class Deep {}
  Module({ providers: [Database], exports: [Database] })(Deep)
  class Middle {}
  Module({ imports: [Deep], providers: [Clerk] })(Middle)
  const app = await start({
    imports: [
      PikoModule.forRootAsync({
        imports: [Deep],
        inject: [Database],
        useFactory: (database: unknown) => {
          expect(database).toBeInstanceOf(Database)
          return { settings: settings() }
        },
      }),
      Middle,
    ],
    controllers: [Sales],
    providers: [Till, Shop],
  })
  expect(notes).toEqual(['database init', 'database bootstrap', 'clerk starts'])
  const piko = app.get(Piko)
  const begun = new Promise((resolve) => piko.events.on('run.started', resolve))
  await piko.enqueue('slow')
  await begun
  await app.close()
  expect(notes.slice(3)).toEqual(['slow begins', 'slow ends', 'database destroy'])
  expect(piko.isStopping).toBe(true)
})

it('names a provider that has no instance of its own for the application', async () => {
  class Asked {
    @job({ id: 'asked' })
    asked(): void {}
  }
  Injectable({ scope: Scope.REQUEST })(Asked)
  class Injecting {
    @job({ id: 'injecting' })
    injecting(): void {}
  }
  Inject(Asked)(Injecting, undefined, 0)
  const error = await rejected(
    start({ imports: [PikoModule.forRoot({ settings: settings() })], providers: [Asked, Injecting] }),
  )
  expect(error).toMatchObject({ code: 'JOB_INVALID' })
  expect(error.message).toMatch(/^Asked of Root, Injecting of Root: .*scope REQUEST or TRANSIENT/)
})

it('leaves the start to the application on request, and refuses wrong options', async () => {
  const app = await start({
    imports: [PikoModule.forRoot({ start: false, isGlobal: false, settings: settings() })],
    providers: [Greetings, Shop],
  })
  const piko = app.get(Piko)
  await expect(piko.run('greet')).rejects.toThrow('this app is not started')
  await piko.start()
  expect(() => piko.addJobs([])).toThrow('addJobs was called after start()')
  expect((await piko.run('greet', { wait: true })).state).toBe('succeeded')
  await expect(start({ imports: [PikoModule.forRoot({ logger: console as never })] })).rejects.toThrow(
    'logger is console',
  )
  expect(thrown(() => PikoModule.forRootAsync({ useFactory: 7 as never })).message).toContain(
    'PikoModule.forRootAsync: useFactory is 7; expected a function',
  )
})

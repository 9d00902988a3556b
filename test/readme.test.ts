import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { compile } from './support/compiler.ts'
import { Snippets } from './support/snippets.ts'

const readme = new Snippets('README.md')
const api = new Snippets('docs/api.md')
const access = new Snippets('docs/access.md')
const async = new Snippets('docs/async.md')
const batches = new Snippets('docs/batches.md')
const cli = new Snippets('docs/cli.md')
const crawl = new Snippets('docs/crawl.md')
const data = new Snippets('docs/data.md')
const downloads = new Snippets('docs/crawl-downloads.md')
const items = new Snippets('docs/items.md')
const jobs = new Snippets('docs/jobs.md')
const doctor = new Snippets('docs/doctor.md')
const link = new Snippets('docs/link.md')
const notify = new Snippets('docs/notify.md')
const traces = new Snippets('docs/traces.md')
const offload = new Snippets('docs/offload.md')
const steps = new Snippets('docs/steps.md')
const resources = new Snippets('docs/resources.md')
const sync = new Snippets('docs/sync-and-cache.md')
const services = new Snippets('docs/services.md')
const sinks = new Snippets('docs/sinks.md')
const targets = new Snippets('docs/sink-targets.md')
const testing = new Snippets('docs/testing.md')
const transactions = new Snippets('docs/transactions.md')
const windows = new Snippets('docs/windows.md')

afterAll(() => {
  for (const page of [
    readme,
    api,
    access,
    async,
    batches,
    cli,
    crawl,
    data,
    doctor,
    downloads,
    items,
    jobs,
    link,
    notify,
    offload,
    resources,
    steps,
    services,
    sync,
    sinks,
    targets,
    testing,
    traces,
    transactions,
    windows,
  ])
    page.remove()
})

describe('the README and the pages of docs', () => {
  it('name the file of every snippet', () => {
    expect(readme.names).toEqual(['jobs/hello.ts', 'readings.ts', 'words.ts', 'count.ts'])
    for (const { names } of [
      api,
      access,
      async,
      batches,
      cli,
      crawl,
      data,
      doctor,
      downloads,
      items,
      jobs,
      link,
      notify,
      offload,
      resources,
      steps,
      services,
      sync,
      sinks,
      targets,
      testing,
      traces,
      transactions,
      windows,
    ]) {
      expect(names).not.toContain('unnamed.ts')
      expect(new Set(names).size).toBe(names.length)
    }
  })

  it('show snippets that compile under strict TypeScript', () => {
    expect(
      compile(
        [
          readme,
          api,
          access,
          async,
          batches,
          cli,
          crawl,
          data,
          doctor,
          downloads,
          items,
          jobs,
          link,
          notify,
          offload,
          resources,
          steps,
          services,
          sync,
          sinks,
          targets,
          testing,
          traces,
          transactions,
          windows,
        ].flatMap(({ files }) => files),
      ).complaints,
    ).toEqual([])
  })
})

describe('docs/api.md', () => {
  it('shows a program that starts a run over HTTP, and what it prints', async () => {
    const page = readFileSync(new URL('../docs/api.md', import.meta.url), 'utf8')
    const [, printed] = /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('It prints:'))) ?? []
    expect(await api.run('api.ts')).toBe(printed)
  })
})

describe('docs/access.md', () => {
  it('shows a program that creates a token, and finds a change in the audit', async () => {
    expect((await access.run('audit.ts')).trimEnd().split('\n')).toEqual([
      'piko_ viewer',
      'jobs.pause anna the shop is closed { isPaused: false } { isPaused: true }',
    ])
  })
})

describe('docs/async.md', () => {
  it.each([
    ['pages.ts', ['[ 2, 2, 1 ]']],
    ['retry.ts', ['200']],
    ['mirrors.ts', ['near', '100 fulfilled', '200 fulfilled', '300 fulfilled']],
    ['channel.ts', ['one', 'two', 'three']],
    ['guards.ts', ["[ 'a', 'b' ]", 'true', '[ 1, 2, 3 ] free']],
  ])('shows a program that ends by itself: %s', async (file, lines) => {
    expect((await async.run(file)).trimEnd().split('\n')).toEqual(lines)
  })
})

describe('docs/doctor.md', () => {
  it('shows a program that examines an installation, which is healthy', async () => {
    expect((await doctor.run('doctor.ts')).trimEnd().split('\n').at(-1)).toMatch(/^true \d+ \d+$/)
  })
})

describe('docs/link.md', () => {
  it.each([
    [
      'users.ts',
      [
        "[ 'Edsger' ]",
        "{ name: 'Ada' }",
        "{ name: 'Grace' }",
        "{ name: 'Edsger' }",
        "{ bytes: 12, meta: { from: 'a file' } }",
      ],
    ],
    [
      'middleware.ts',
      [
        '/api/admin/hello/:name done',
        'hello Ada',
        '{"route":"/api/admin/boom","status":422,"body":{"problem":"out of paper"}}',
        '/api/nothing done',
        '{"route":"/api/nothing","status":404,"body":{"missing":"/api/nothing"}}',
      ],
    ],
    ['http.ts', ["{ hello: 'Ada' }", "{ id: '7', via: 'http' }", '422']],
    ['events.ts', ['{ eur: 1 }', 'saved a.txt']],
  ])('shows a program that ends by itself: %s', async (file, lines) => {
    expect((await link.run(file)).trimEnd().split('\n')).toEqual(lines)
  })
})

describe('docs/crawl.md', () => {
  it('shows a crawl of a shop, whose rows are stored once', async () => {
    expect((await crawl.run('shop.ts')).trimEnd().split('\n')).toEqual([
      'succeeded 5 pages',
      "{ name: 'Cup', price: 4.5 }",
      "{ name: 'Jug', price: 12 }",
      "{ name: 'Tray', price: 20 }",
    ])
  })

  it('shows a crawl as a class that runs against given pages', async () => {
    const stdout = await crawl.run('class.ts')
    expect(stdout).toContain('succeeded')
    expect(stdout).toContain('GET https://shop.test/about')
    expect(stdout).toContain('2 requests')
  })
})

describe('docs/data.md', () => {
  it('shows a program that asks again after a 503, and settles a batch', async () => {
    expect((await data.run('requests.ts')).trimEnd().split('\n')).toEqual(['1 2', '2', '404 PikoError'])
  })

  it('shows programs that take from limits of the fleet, and call functions in threads', async () => {
    expect((await data.run('limits.ts')).trim()).toBe('[ true, false ]')
    expect((await data.run('shouting.ts')).trim()).toBe('HELLO')
  })
})

describe('docs/crawl-downloads.md', () => {
  const page = readFileSync(new URL('../docs/crawl-downloads.md', import.meta.url), 'utf8')
  const printedAfter = (title: string): string | undefined =>
    /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('It prints', page.indexOf(title))))?.[1]

  it('shows a sitemap whose old pages are left out, and a script in a sandbox, and what they print', async () => {
    expect(await downloads.run('sitemaps.ts')).toBe(printedAfter('## Sitemaps'))
    expect(await downloads.run('signature.ts')).toBe(printedAfter('## JavaScript of a page'))
  })
})

describe('docs/windows.md', () => {
  it('shows a program whose days wait for their hours, and a short form of it', async () => {
    const stdout = await windows.run('windows.ts')
    expect(stdout).toContain('71 hours to run\n')
    expect(stdout).toContain('hours succeeded: 71\ndays succeeded\n')
    expect(stdout).toMatch(/23 hours\n24 hours\n24 hours\n$/)
  })

  it('shows a program whose windows are days of a calendar', async () => {
    expect((await windows.run('days.ts')).trimEnd().split('\n')).toEqual([
      '365 days',
      '2025-03-30 23 hours',
      '2025-10-26 25 hours',
    ])
  })
})

describe('the README', () => {
  it('shows a job that the command line runs', async () => {
    const bin = fileURLToPath(new URL('../src/cli/bin.ts', import.meta.url))
    const stdout = await readme.run(bin, 'run', 'hello', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ jobId: 'hello', state: 'succeeded' })
  })

  it('shows a program that writes each window once', async () => {
    const stdout = await readme.run('readings.ts')
    expect(stdout).toContain('days: 31')
    expect(stdout).toContain('mean: 16')
  })

  it('shows a call in a worker thread', async () => {
    expect((await readme.run('count.ts')).trim()).toBe('5')
  })
})

describe('docs/transactions.md', () => {
  it('shows a program that stores orders and invoices together or not at all', async () => {
    expect((await transactions.run('orders.ts')).trimEnd().split('\n')).toEqual([
      'invoice of order 1',
      'invoice of order 2',
      'rolled back',
      '{ orders: 2, invoices: 2 }',
    ])
  })
})

describe('docs/jobs.md', () => {
  it('shows a program that requests runs, waits for them and reads the ledger', async () => {
    expect((await jobs.run('main.ts')).trimEnd().split('\n')).toEqual([
      'succeeded { written: 2 }',
      '{ rows: 3 }',
      '2026-01-08T02:00:00.000Z 0 2026-01-01T02:00:00.000Z',
      'failed TypeError',
      'Float64Array(2) [ 2, 4 ]',
    ])
  })

  it('shows a program whose requests are typed', async () => {
    const [first, second, ...problems] = (await jobs.run('ship.ts')).trimEnd().split('\n')
    expect([first, second]).toEqual(["1 { order: 7, by: '2026-01-05' }", '2'])
    expect(problems.join(' ')).toMatch(/order: .+by: /)
  })

  it('shows tests that pass', async () => {
    expect(await jobs.run('--test', '--test-reporter=tap', 'jobs.test.ts')).toMatch(/^# pass 2$/m)
  })
})

describe('docs/resources.md', () => {
  it('shows programs with a resource that renews itself and one that needs others, and what they print', async () => {
    const page = readFileSync(new URL('../docs/resources.md', import.meta.url), 'utf8')
    const [, printed] = /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('It prints:'))) ?? []
    expect(await resources.run('check.ts')).toBe(printed)
    const [, line] = /prints `(.*)`: within an attempt/.exec(page) ?? []
    expect(await resources.run('needs.ts')).toBe(`${line}\n`)
  })
})

describe('docs/items.md', () => {
  it('shows an example that prints what the page says', async () => {
    const page = readFileSync(new URL('../docs/items.md', import.meta.url), 'utf8')
    const [, printed] = /\n\n```\n([\s\S]*?)^```$/m.exec(page) ?? []
    expect(await items.run('items.ts')).toBe(printed)
  })
})

describe('docs/testing.md', () => {
  it('shows tests that pass', async () => {
    expect(await testing.run('--test', ...testing.names)).toMatch(/fail 0/)
  })
})

describe('docs/steps.md', () => {
  it('shows a program whose retry does only what is missing, and what it prints', async () => {
    const page = readFileSync(new URL('../docs/steps.md', import.meta.url), 'utf8')
    const [, printed] = /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('the fourth page failed once'))) ?? []
    expect(await steps.run('steps.ts')).toBe(printed)
  })
})

describe('docs/sync-and-cache.md', () => {
  it('shows programs that share a value and lead, and what they print', async () => {
    const page = readFileSync(new URL('../docs/sync-and-cache.md', import.meta.url), 'utf8')
    const [, printed] = /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('It prints:'))) ?? []
    expect(await sync.run('shared.ts')).toBe(printed)
    const cached = page.slice(page.indexOf('`cache.ts`'))
    const [, answers] = /^```\n([\s\S]*?)^```$/m.exec(cached.slice(cached.indexOf('It prints:'))) ?? []
    expect(await sync.run('cache.ts')).toBe(answers)
    expect(await sync.run('elector.ts')).toBe('leads 1 true false\nfalse\n')
  })
})

describe('docs/batches.md', () => {
  it('shows a batch whose failures are replayed, and what it prints', async () => {
    const page = readFileSync(new URL('../docs/batches.md', import.meta.url), 'utf8')
    const [, printed] = /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('It prints'))) ?? []
    expect(await batches.run('batches.ts')).toBe(printed)
  })
})

describe('docs/sink-targets.md', () => {
  it('shows a program that writes a table and files, and what it prints', async () => {
    const page = readFileSync(new URL('../docs/sink-targets.md', import.meta.url), 'utf8')
    const [, printed] = /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('It prints'))) ?? []
    expect(await targets.run('sink-targets.ts')).toBe(printed)
  })
})

describe('docs/sinks.md', () => {
  it('shows a program that puts a row aside and delivers it later, and what it prints', async () => {
    const page = readFileSync(new URL('../docs/sinks.md', import.meta.url), 'utf8')
    const [, printed] = /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('two rows were stored'))) ?? []
    expect(await sinks.run('sinks.ts')).toBe(printed)
  })
})

describe('docs/offload.md', () => {
  it('shows a file parsed in a thread as a stream, a map over threads, and what they print', async () => {
    const page = readFileSync(new URL('../docs/offload.md', import.meta.url), 'utf8')
    const [, printed] = /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('It prints'))) ?? []
    expect(await offload.run('load.ts')).toBe(printed)
  })
})

describe('docs/services.md', () => {
  it('shows a worker that restarts crashed services and stops cleanly', async () => {
    const stdout = await services.run('worker.ts')
    expect(stdout).toContain('INFO [^--Feed]: Starting...')
    expect(stdout).toContain('(restart 2)')
    expect(stdout.trimEnd()).toMatch(/INFO \[\^Worker\]: Stopped$/)
  })

  it('shows a graph of services', async () => {
    const stdout = await services.run('graph.ts')
    expect(stdout).toContain(`[ 'feeds init 0', 'Feed init 0' ]`)
    expect(stdout.trimEnd()).toMatch(/true$/)
  })

  it('shows an app with a service that a run borrows, in the order of its tree', async () => {
    expect((await services.run('app.ts')).trimEnd().split('\n')).toEqual(['42', treeOrder().join(' '), 'true'])
  })
})

/** The table of Piko's own services, without the HTTP server, which only `piko start` adds. */
function treeOrder(): string[] {
  const page = readFileSync(new URL('../docs/services.md', import.meta.url), 'utf8')
  const table = page.slice(page.indexOf('in the order of their start'))
  const names = [...table.matchAll(/^\| (?:`([\w-]+)`|(_yours_)) /gm)].map(([, name]) => name ?? 'Cache')
  return names.filter((name) => name !== 'http')
}

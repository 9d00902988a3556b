import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type ChoiceFlags, choicesOf } from '../../src/cli/init/choices.ts'
import { withoutProjects } from '../../src/cli/init/machine-node.ts'
import { cleanEnv } from '../support/source-process.ts'
import { errorOf, Project } from './project.ts'

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))

/** An empty project in which the packages of a new project are installed already. */
function installed(): Project {
  const project = new Project()
  mkdirSync(join(project.folder, 'node_modules/@types'))
  for (const name of ['typescript', '@types/node', 'tsx', 'undici-types', '.bin'])
    symlinkSync(join(MODULES, name), join(project.folder, 'node_modules', name), 'dir')
  return project
}

const npm = (project: Project, ...args: string[]): string =>
  execFileSync('npm', args, { cwd: project.folder, env: cleanEnv(), encoding: 'utf8' })

describe('piko init', () => {
  it.each([
    ['--ts --decorators --sqlite', 'jobs/hello.ts', '@job({'],
    ['--ts --functions', 'jobs/hello.ts', 'defineJob({'],
    ['--js', 'jobs/hello.js', 'defineJob({'],
  ])('creates a project that runs and whose tests pass: %s', async (flags, file, contains) => {
    const project = installed()
    const created = await project.piko(['init', ...flags.split(' '), '--no-install', '--package', '^0.1.0', '--json'])
    expect(created).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(created.stdout)).toMatchObject({ next: ['npm install', 'npm run dev'] })
    expect(project.read(file)).toContain(contains)
    expect(JSON.parse(project.read('package.json'))).toMatchObject({
      type: 'module',
      scripts: { dev: 'piko dev', start: 'exec piko start' },
      dependencies: { piko: '^0.1.0' },
    })
    expect(npm(project, 'test')).toMatch(/^# pass 2$|^ℹ pass 2$/m)
    if (flags.includes('--ts')) npm(project, 'run', 'check')
    const [, run = ''] = /npx piko (run \w+)/.exec(project.read('README.md')) ?? []
    expect((await project.piko(run.split(' '))).code).toBe(0)
  })

  it('gives the project a Node of its own if that of the machine is too old', async () => {
    expect(withoutProjects('/a/node_modules/.bin:/usr/bin:/b/node_modules/.bin:/bin')).toBe('/usr/bin:/bin')
    for (const [version, node] of [
      ['v20.20.2', '^24.0.0'],
      ['v24.1.0', undefined],
    ] as const) {
      const project = new Project({ 'bin/node': `#!/bin/sh\necho ${version}\n` })
      chmodSync(join(project.folder, 'bin/node'), 0o755)
      const PATH = `${MODULES}/.bin:${project.folder}/bin:${process.env['PATH'] ?? ''}`
      const args = ['init', 'orders', '--js', '--no-install', '--package', 'x']
      expect(await project.piko(args, { PATH })).toMatchObject({ code: 0 })
      const { devDependencies } = JSON.parse(project.read('orders/package.json')) as Record<string, object>
      expect(devDependencies).toEqual(node === undefined ? {} : { node })
    }
  })

  it('packs the Piko that runs, and says what to do next', async () => {
    const project = new Project()
    const created = await project.piko(['init', 'orders', '--js', '--no-install'])
    expect(created.stdout).toContain('now:\n  cd orders\n  npm install\n  npm run dev\n')
    const manifest = JSON.parse(project.read('orders/package.json')) as { dependencies: { piko: string } }
    expect(manifest.dependencies.piko).toMatch(/^file:vendor\/piko-\d+\.\d+\.\d+\.tgz$/)
    const packed = execFileSync('tar', ['-tzf', manifest.dependencies.piko.slice('file:'.length)], {
      cwd: join(project.folder, 'orders'),
      encoding: 'utf8',
    })
    expect(packed).toContain('package/dist/bin.js')
    expect(project.read('orders/Dockerfile')).toContain('COPY vendor ./vendor')
  })

  it('keeps a DSN with a password out of Git and of images', async () => {
    const project = new Project()
    const dsn = 'mysql://piko:s3cr3t@db:3306/piko'
    const args = ['init', 'orders', '--ts', '--dsn', dsn, '--no-install', '--package', 'x']
    expect((await project.piko(args)).code).toBe(0)
    expect(project.read('orders/settings.toml')).toContain(`dsn = "${dsn}"`)
    expect(project.read('orders/settings.example.toml')).toContain('dsn = "mysql://piko:PASSWORD@db:3306/piko"')
    for (const file of ['.gitignore', '.dockerignore'])
      expect(project.read(`orders/${file}`)).toMatch(/^settings.toml$/m)
    for (const file of ['README.md', 'Dockerfile', 'package.json', 'settings.example.toml'])
      expect(project.read(`orders/${file}`)).not.toContain('s3cr3t')
  })

  it('refuses a folder that is not empty, and changes nothing', async () => {
    const project = new Project({ 'app.ts': '', 'README.md': 'mine' })
    const result = await project.piko(['init', '--json'])
    expect({ exit: result.code, ...errorOf(result) }).toMatchObject({
      exit: 2,
      code: 'USAGE',
      message: expect.stringMatching(/is not empty: it has README.md, app.ts. Choose another folder/) as string,
    })
    expect(project.read('README.md')).toBe('mine')
    expect(project.has('package.json')).toBe(false)
  })

  it('keeps what package.json of an empty project says', async () => {
    const before = {
      ...{ name: 'mine', version: '3.0.0' },
      scripts: { test: 'echo "Error: no test specified" && exit 1', lint: 'eslint' },
      dependencies: { left: '1.0.0', piko: 'file:../piko-0.1.0.tgz' },
    }
    const project = new Project({ 'package.json': JSON.stringify(before), 'package-lock.json': '{}' })
    expect((await project.piko(['init', '--js', '--no-install', '--package', 'file:x.tgz'])).code).toBe(0)
    expect(JSON.parse(project.read('package.json'))).toMatchObject({
      ...{ name: 'mine', version: '3.0.0', type: 'module' },
      scripts: { lint: 'eslint', test: 'node --test "test/*.test.js"' },
      dependencies: { left: '1.0.0', piko: 'file:x.tgz' },
    })
  })

  it.each([
    [['--ts', '--js'], '--ts and --js exclude each other'],
    [['--js', '--decorators'], 'Node runs no decorators in JavaScript'],
    [['--sqlite', '--dsn', 'mysql://a@b/c'], 'the options name both SQLite and a DSN'],
    [['--dsn', 'postgres://a@b/c'], 'expected mysql://user:password@host:3306/database'],
  ])('refuses %j', async (flags, says) => {
    const result = await new Project().piko(['init', ...flags, '--json'])
    expect(errorOf(result)).toMatchObject({ code: 'USAGE', message: expect.stringContaining(says) as string })
  })
})

describe('the questions of piko init', () => {
  it.each<[ChoiceFlags, string[], object, number]>([
    [{}, ['', ''], { language: 'ts', style: 'decorators', dsn: undefined }, 2],
    [{}, ['4', '2', 'x', 'mysql://u@h/d'], { language: 'ts', style: 'functions', dsn: 'mysql://u@h/d' }, 4],
    [{}, ['3', ''], { language: 'js', style: 'functions', dsn: undefined }, 2],
    [{ js: true, sqlite: true }, [], { language: 'js', style: 'functions', dsn: undefined }, 0],
    [{ functions: true }, [''], { language: 'ts', style: 'functions', dsn: undefined }, 1],
  ])('%j and the answers %j mean %j', async (flags, answers, choices, count) => {
    let asked = 0
    expect(await choicesOf(flags, () => Promise.resolve(answers[asked++] ?? ''))).toEqual(choices)
    expect(asked).toBe(count)
  })

  it('are not asked without a terminal', async () => {
    expect(await choicesOf({}, undefined)).toEqual({ language: 'ts', style: 'decorators', dsn: undefined })
  })
})

/** The import directions of the source tree; see docs/decisions/0001. */
const layer = (from, forbidden, comment) => ({
  name: `${from.replace(/\W+/g, '-')}-imports-one-way`,
  comment,
  severity: 'error',
  from: { path: `^src/(${from})` },
  to: { path: `^src/(${forbidden})` },
})
const onlyIn = (library, folder) => ({
  name: `${library.replace(/\W+/g, '-')}-only-in-${folder.replace(/\W+/g, '-')}`,
  comment: 'one library, one folder',
  severity: 'error',
  from: { path: '^src', pathNot: `^src/${folder}` },
  to: { path: library.startsWith('node:') ? `^${library.slice(5)}$|^${library}$` : `node_modules/${library}/` },
})

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'index-is-imported-by-nobody',
      severity: 'error',
      from: { path: '^src' },
      to: { path: '^src/index\\.ts$' },
    },
    layer('errors\\.ts', '(?!errors)', 'errors know nothing'),
    layer('time/', 'job|resource|sink|service|settings|store|telemetry|offload|engine|http|cli|testing', 'pure'),
    layer('(job|resource|sink|service)/', 'settings|store|telemetry|offload|engine|http|cli|testing', 'no I/O'),
    layer('settings/', 'store|telemetry|offload|engine|http|cli|testing', 'siblings share nothing'),
    layer('telemetry/', 'store|offload|engine|http|cli|testing', 'siblings share nothing'),
    layer('(store|offload)/', 'engine|http|cli|testing', 'below the engine'),
    layer('engine/', 'http|cli|testing', 'below http, testing and cli'),
    layer('(http|testing)/', 'cli', 'below the cli'),
    {
      name: 'pure-folders-do-no-io',
      comment: 'schedules, windows and the rules of runs know nothing of files, sockets and clocks',
      severity: 'error',
      from: { path: '^src/(time|job)/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'src-never-imports-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|examples|scripts)/' },
    },
    {
      name: 'src-never-imports-itself-by-name',
      comment: 'that is index.ts by another name',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^piko($|/)' },
    },
    onlyIn('croner', 'time/'),
    onlyIn('piscina', 'offload/'),
    onlyIn('fastify', 'http/'),
    onlyIn('pino', 'telemetry/'),
    onlyIn('pino-pretty', 'telemetry/'),
    onlyIn('prom-client', 'telemetry/'),
    onlyIn('convict', 'settings/'),
    onlyIn('smol-toml', 'settings/'),
    onlyIn('kysely', 'store/'),
    onlyIn('mysql2', 'store/'),
    onlyIn('commander', 'cli/'),
    onlyIn('cli-progress', 'cli/'),
    onlyIn('node:sqlite', 'store/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { conditionNames: ['piko-source', 'import', 'node', 'default'] },
  },
}

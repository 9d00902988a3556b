import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist', 'coverage', '.piko', 'test/fixtures', 'bench/peers', '.dependency-cruiser.cjs'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['eslint.config.js'] } } },
    rules: {
      '@typescript-eslint/no-floating-promises': ['error', { checkThenables: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      // `import { type X }` would still load the module.
      '@typescript-eslint/no-import-type-side-effects': 'error',
      // An interface method may be async in one implementation and not in another.
      '@typescript-eslint/require-await': 'off',
      // `never` and `number` in messages are intended: offending values are printed.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowNullish: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // Time and randomness are passed in: the clock is the one place that reads them.
      'no-restricted-properties': ['error', { object: 'Date', property: 'now', message: 'Take a Clock instead.' }],
    },
  },
  {
    files: ['test/**', 'examples/**', 'bench/**', 'scripts/**', 'src/clock.ts', '*.config.*'],
    rules: { 'no-restricted-properties': 'off' },
  },
)

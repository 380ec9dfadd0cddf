/**
 * Tables to try the bundled model on, each with questions it answers right: llama.cpp's greedy answers on the same
 * file were read for every one of them.
 */
export interface Sample {
  readonly name: string;
  readonly schema: string;
  readonly questions: readonly string[];
}

export const samples: readonly [Sample, ...Sample[]] = [
  {
    name: 'Shop',
    schema: `CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT,
  city TEXT,
  country TEXT
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER,
  order_date DATE,
  amount REAL,
  status TEXT,
  FOREIGN KEY (customer_id) REFERENCES customers(id)
);`,
    questions: [
      'Which customer has the most orders? Show the name.',
      'How many orders are there for each status?',
      'Which customers have no orders?',
      'How many orders are there per month of order date?',
      'List the orders with amount above 500, highest amount first.',
      'What percentage of orders are ones whose status is cancelled?',
    ],
  },
  {
    name: 'Staff',
    schema: `CREATE TABLE employees (
  id INTEGER PRIMARY KEY,
  name TEXT,
  department TEXT,
  job_title TEXT,
  salary INTEGER,
  hired_on DATE
);`,
    questions: [
      'Which department has the highest average salary?',
      'Which employees have a salary above the average?',
      'Show the name of the 5 employees with the highest salary.',
      'How many employees are there per year of hired on?',
      'How many employees with a name starting with An?',
      'Which employee has the earliest hired on?',
    ],
  },
  {
    name: 'Music',
    schema: `CREATE TABLE artists (
  id INTEGER PRIMARY KEY,
  name TEXT,
  country TEXT,
  genre TEXT
);
CREATE TABLE songs (
  id INTEGER PRIMARY KEY,
  title TEXT,
  artist_id INTEGER,
  duration INTEGER,
  plays INTEGER,
  published_on DATE,
  FOREIGN KEY (artist_id) REFERENCES artists(id)
);`,
    questions: [
      'Which artist has the most songs? Show the name.',
      'List the songs of artists with genre jazz.',
      'Top 10 songs by plays.',
      'Show the title of the song with the highest plays.',
      'List the songs with duration between 180 and 240.',
    ],
  },
];

-- What comes back to the client beside the answers: texts of its own, and rejected rows whole
-- enough to be mended. Personal data may stand in all three; of the programs' roles only results
-- shows them to anybody.

-- Null for nearly all: a contact without any costs nothing. Not jsonb, which forgets their order.
ALTER TABLE requests ADD COLUMN extra json;

-- Not known of rows that the release before read.
ALTER TABLE rejected ADD COLUMN cells text[], ADD COLUMN cut boolean NOT NULL DEFAULT false;

-- Of all columns of the job's file, in its order: those that `rejected.cells` stand under.
ALTER TABLE jobs ADD COLUMN headings text[];

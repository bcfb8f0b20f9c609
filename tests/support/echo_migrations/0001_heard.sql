CREATE TABLE heard (
    who text NOT NULL,
    number int NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY
);

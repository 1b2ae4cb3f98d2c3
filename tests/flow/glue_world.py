"""Glue for the flow tests: a crawler and a job on moto or on the fake, whose states move when the test
says so, and a thread in Spark's place that runs the real job script on the plans it finds.

    def test_it(moto, daemon):
        with Glue(moto, daemon, queue) as glue:
            daemon.start()
            moto.put("raw", "a.csv", b"x\\n1\\n")
            daemon.wait_state("a.csv", "DONE")
            assert glue.crawls() == 1 and glue.runs() == 1
"""

import importlib.util
import json
import threading

from aws_world import Fake
from conftest import ROOT

spec = importlib.util.spec_from_file_location("job", ROOT / "config" / "aws" / "extract_csv.py")
job = importlib.util.module_from_spec(spec)
spec.loader.exec_module(job)

NEVER = 10**9
CRAWLER, JOB = "sevir-crawler", "sevir-extract"
CRAWLS, RUNS = "glue::crawl", "glue::job_run"  # moto's names of what has states


class Glue:
    def __init__(self, world, daemon, queue=None, steps=2, works=True, crawl=True, extract=True, **options):
        """`steps`: looks that a state takes. Without `works` nobody runs the plans."""
        self.world, self.steps, self.works = world, steps, works
        self.fake = isinstance(world, Fake)
        world.equip(daemon, queue=queue)
        client = world.client("glue")
        client.create_database(DatabaseInput={"Name": "sevir"})
        client.create_crawler(
            Name=CRAWLER, Role="r", DatabaseName="sevir", Targets={"S3Targets": [{"Path": "s3://raw/"}]}
        )
        client.create_job(
            Name=JOB,
            Role="r",
            Command={"Name": "glueetl", "ScriptLocation": "s3://processed/job.py"},
            ExecutionProperty={"MaxConcurrentRuns": 3},
        )
        glue = {"crawler": CRAWLER, "job": JOB, "quiet": "100ms", "poll": "20ms", **options}
        daemon.configure(
            crawl={"engine": "glue" if crawl else "local"},
            extract={"engine": "glue" if extract else "local"},
            glue=glue,
        )
        self.plans = []  # as they were found
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work)

    def looks(self, model, times):
        """So many of them a state takes from now on."""
        if not self.fake:
            told = {"model_name": model, "transition": {"progression": "manual", "times": times}}
            self.world.ask("state-manager/set-transition", json.dumps(told).encode())
        elif model == CRAWLS:
            self.world.ask("glue", {"looks": times})

    def hold(self):
        """No crawl ends from now on."""
        self.looks(CRAWLS, NEVER)

    def let_go(self):
        self.looks(CRAWLS, self.steps)

    def __enter__(self):
        self.looks(RUNS, self.steps)
        self.looks(CRAWLS, self.steps)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(60)
        for model in (RUNS, CRAWLS) if not self.fake else ():
            told = json.dumps({"model_name": model}).encode()
            self.world.ask("state-manager/unset-transition", told)

    def found(self):
        """Plans that lie in the store."""
        keys = self.world.keys("processed", "_glue/runs/")
        return {key for key in keys if key.endswith("/plan.json")}

    def work(self):
        """A run ends when its result is there (the fake's by itself, moto's by moto_server.py)."""
        s3, done = self.world.client("s3"), set()
        while not self.over.wait(0.05):
            self.crawls()  # moto's crawls move by being listed
            for key in self.found() - done:
                try:
                    plan = json.loads(self.world.get("processed", key))
                except s3.exceptions.NoSuchKey:
                    continue  # the run was given up
                self.plans.append(plan)
                if self.works:
                    job.run(plan, lambda run, items: [run(item, s3) for item in items], s3)
                done.add(key)

    def crawls(self):
        """How many there were."""
        if self.fake:
            return self.world.ask("glue")["crawls"][CRAWLER]
        return len(self.world.client("glue").list_crawls(CrawlerName=CRAWLER)["Crawls"])

    def job_runs(self):
        """On moto this is a look, which moves them."""
        return self.world.client("glue").get_job_runs(JobName=JOB)["JobRuns"]

    def runs(self):
        return len(self.job_runs())

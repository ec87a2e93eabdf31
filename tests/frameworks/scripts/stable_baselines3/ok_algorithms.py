"""PPO, A2C, DQN, SAC and TD3, a few updates each."""

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3

torch.manual_seed(0)


class Walk(gym.Env):
    """Walk towards zero, by steps from a set or from a range."""

    observation_space = spaces.Box(-9.0, 9.0, (2,), np.float32)

    def __init__(self, discrete):
        self.action_space = spaces.Discrete(2) if discrete else spaces.Box(-1.0, 1.0, (2,))
        self.place = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-2, 2, 2).astype(np.float32), 0
        return self.place, {}

    def step(self, action):
        self.steps += 1
        move = np.asarray(action * 2 - 1 if isinstance(self.action_space, spaces.Discrete) else action)
        self.place = np.clip(self.place + 0.1 * move, -9, 9).astype(np.float32)
        return self.place, -float(np.abs(self.place).sum()), self.steps >= 20, False, {}


common = {"policy": "MlpPolicy", "seed": 0, "device": "cpu"}
off_policy = {"learning_starts": 16, "batch_size": 8, "buffer_size": 200}
agents = (
    PPO(env=Walk(True), n_steps=32, batch_size=16, n_epochs=2, policy_kwargs={"net_arch": [16]}, **common),
    A2C(env=Walk(False), policy_kwargs={"net_arch": [16]}, **common),
    DQN(env=Walk(True), train_freq=4, target_update_interval=20, **off_policy, policy_kwargs={"net_arch": [16]}, **common),
    SAC(env=Walk(False), train_freq=4, **off_policy, policy_kwargs={"net_arch": [16]}, **common),
    TD3(env=Walk(False), train_freq=4, **off_policy, policy_kwargs={"net_arch": [16]}, **common),
)
for agent in agents:
    agent.learn(96)
    action, _ = agent.predict(np.ones(2, np.float32), deterministic=True)
    print(type(agent).__name__, np.round(action, 4), agent._n_updates)
